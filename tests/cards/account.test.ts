/** The account sale against the emulated card: certificate, journal, and the right outcome wherever it breaks. */
import { cmac } from '@noble/ciphers/aes.js';
import { describe, expect, test } from 'vitest';
import { LIGHT } from '../../cards/layout.ts';
import { look } from '../../cards/look.ts';
import { account, coveredCommands, type PaymentDone, type PaymentIntent } from '../../cards/payment.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { type Failure, play } from '../../cards/script.ts';
import { previousTmri, tmv, transactionInput, transactionKeys } from '../../cards/tmac.ts';
import type { Card } from '../town/card.ts';
import { anyCard, KEYS, UID, WITNESS } from '../town/deck.ts';
import { field, type Trouble } from '../town/field.ts';
import { bytes, hex } from './hex.ts';

const deed: Deed = { kind: 'account', amount: 50_000n, kioskNo: 9, kioskSeq: 3, minute: 100 };
const signed = proof(WITNESS, UID, deed, new Uint8Array(4));
const record = buildRecord(deed, signed);
const tmri = buildTmri(deed, signed);
const COMMANDS = 9;
const COMMIT = COMMANDS - 1;
const key1 = KEYS.debit;
const rndA = new Uint8Array(16).fill(0x5c);

interface Sale {
  readonly result: PaymentDone | Failure;
  readonly sent: readonly Uint8Array[];
  /** How many APDUs had been answered when the journal was asked, and what it was told. */
  readonly journal: readonly { readonly after: number; readonly intent: PaymentIntent }[];
}

async function sell(card: Card, trouble?: Trouble, key = key1): Promise<Sale> {
  const reader = field(card);
  reader.insert(trouble);
  const sent: Uint8Array[] = [];
  const journal: { after: number; intent: PaymentIntent }[] = [];
  const order = {
    key1: key,
    rndA,
    record,
    tmri,
    journal: (intent: PaymentIntent) => journal.push({ after: sent.length, intent }),
  };
  const result = await play(account(order), (apdu) => {
    sent.push(apdu);
    return reader.transmit(apdu);
  });
  reader.remove();
  return { result, sent, journal };
}

function counter(card: Card): number {
  const file = card.memory.files.get(0x0f);
  return file?.kind === 'tmac' ? file.tmc : -1;
}

function newest(card: Card): string {
  const file = card.memory.files.get(0x01);
  return file?.kind === 'cyclic' ? hex(file.records.at(-1) ?? new Uint8Array()) : '';
}

function done({ result }: Sale): PaymentDone {
  if (!result.ok) throw new Error(`the sale failed: ${JSON.stringify(result)}`);
  return result;
}

function failed({ result }: Sale): Failure {
  if (result.ok) throw new Error('the sale went through');
  return result;
}

describe('an account sale on the card', () => {
  test('sends exactly nine commands of the known lengths', async () => {
    const { sent } = await sell(anyCard());
    expect(sent.map((apdu) => apdu[1])).toEqual([0xa4, 0x71, 0xaf, 0xad, 0xab, 0x6c, 0x8b, 0xc8, 0xc7]);
    expect(sent.map((apdu) => apdu.length)).toEqual([22, 8, 38, 21, 21, 15, 53, 30, 15]);
  });

  test('brings back counter, certificate and records before, balance, reader id, and the new certificate', async () => {
    const card = anyCard();
    const file = card.memory.files.get(0x0f);
    const before = file?.kind === 'tmac' ? hex(file.tmv) : '';
    const sale = done(await sell(card));
    expect(hex(sale.before)).toBe(`04000000${before}`);
    expect(sale.records).toHaveLength(64);
    expect(sale.opening).toBe(75_000n);
    expect(sale.tmc).toBe(5);
    expect(hex(sale.tmv)).toBe(file?.kind === 'tmac' ? hex(file.tmv) : '');
    expect(newest(card)).toBe(hex(record));
  });

  test('is certified over its typed command list, and names the reader id before', async () => {
    const sale = done(await sell(anyCard()));
    const keys = transactionKeys(KEYS.tmac, UID, sale.tmc);
    const commands = coveredCommands({ record, tmri }, sale, 0n);
    expect(hex(tmv(keys, transactionInput(commands)))).toBe(hex(sale.tmv));
    const last: Deed = { kind: 'personalise', amount: 0n, kioskNo: 1, kioskSeq: 4, minute: 0 };
    const lastTmri = buildTmri(last, proof(WITNESS, UID, last, new Uint8Array(4)));
    expect(hex(previousTmri(keys, sale.encTmri))).toBe(hex(lastTmri));
  });

  test('is certified over bytes put together by hand, with another library', async () => {
    const sale = done(await sell(anyCard()));
    const zeros = (count: number) => '00'.repeat(count);
    const input = [
      `ab01000000040000${zeros(8)}${hex(sale.records)}`,
      `6c03f8240100${zeros(10)}`,
      `8b01000000100000${zeros(8)}${hex(record)}`,
      `c8${hex(tmri)}${hex(sale.encTmri)}${zeros(15)}`,
    ].join('');
    const key = cmac(bytes(`5a0001008005000000${hex(UID)}`), KEYS.tmac);
    const full = hex(cmac(bytes(input), key));
    const odd = [1, 3, 5, 7, 9, 11, 13, 15].map((at) => full.slice(2 * at, 2 * at + 2)).join('');
    expect(hex(sale.tmv)).toBe(odd);
  });

  test('asks the journal once, after the reader id and before the commit', async () => {
    const sale = await sell(anyCard());
    const { before, records, opening, encTmri } = done(sale);
    expect(sale.journal).toEqual([{ after: COMMIT, intent: { before, records, opening, encTmri } }]);
  });

  test('is never committed when the journal fails', async () => {
    const card = anyCard();
    const reader = field(card);
    reader.insert();
    const journal = () => {
      throw new Error('disk full');
    };
    const played = play(account({ key1, rndA, record, tmri, journal }), reader.transmit);
    await expect(played).rejects.toThrow('disk full');
    expect(counter(card)).toBe(4);
    expect(done(await sell(card)).tmc).toBe(5);
  });

  test('can follow another on the same card', async () => {
    const card = anyCard();
    const first = done(await sell(card));
    const second = done(await sell(card));
    expect(second.tmc).toBe(6);
    expect(hex(second.before)).toBe(`05000000${hex(first.tmv)}`);
    expect(hex(second.records.slice(48))).toBe(hex(record));
  });
});

describe('a torn card', () => {
  for (let apdu = 0; apdu < COMMANDS; apdu++) {
    for (const when of ['before', 'after'] as const) {
      const outcome = apdu === COMMIT ? 'unknown' : 'not-executed';
      test(`${when} command ${apdu + 1} of 9 leaves the sale ${outcome}`, async () => {
        const card = anyCard();
        const sale = await sell(card, { tear: { apdu, when } });
        expect(failed(sale)).toMatchObject({ reason: 'lost', status: null, outcome });
        expect(sale.sent).toHaveLength(apdu + 1);
        expect(sale.journal).toHaveLength(apdu === COMMIT ? 1 : 0);
        const committed = apdu === COMMIT && when === 'after';
        expect(counter(card)).toBe(committed ? 5 : 4);
        expect(newest(card) === hex(record)).toBe(committed);
      });
    }
  }

  for (const when of ['before', 'after'] as const) {
    test(`tells at its return what became of a commit torn ${when} it`, async () => {
      const card = anyCard();
      await sell(card, { tear: { apdu: COMMIT, when } });
      const reader = field(card);
      reader.insert();
      const seen = await play(look({ key1, rndA }), reader.transmit);
      if (!seen.ok) throw new Error('the look failed');
      const file = card.memory.files.get(0x0f);
      const tmvNow = file?.kind === 'tmac' ? hex(file.tmv) : '';
      expect(hex(seen.before)).toBe(`0${when === 'after' ? 5 : 4}000000${tmvNow}`);
      expect(hex(seen.records.slice(48)) === hex(record)).toBe(when === 'after');
    });
  }
});

describe('a reply that is not the card’s', () => {
  test('is caught whichever bit of it is wrong; the sale is not executed until the commit was sent', async () => {
    const card = anyCard();
    const lengths = (await replies()).map((reply) => reply.length);
    for (let apdu = 0; apdu < COMMANDS; apdu++) {
      for (let bit = 0; bit < (lengths[apdu] ?? 0) * 8; bit++) {
        card.memory.failures = 0;
        const sale = await sell(card, { wrong: { apdu, change: flip(bit) } });
        const { outcome } = failed(sale);
        expect(`${apdu}.${bit} ${outcome}`).toBe(`${apdu}.${bit} ${apdu === COMMIT ? 'unknown' : 'not-executed'}`);
      }
    }
  });

  test('leaves the sale unknown at the commit, also when it says no: error statuses prove nothing', async () => {
    for (const reply of ['919d', '91ca', '911e', '6f00', '6300', '9100', '91af', '91', `${'00'.repeat(20)}9100`]) {
      const card = anyCard();
      const sale = await sell(card, { wrong: { apdu: COMMIT, change: () => bytes(reply) } });
      expect(failed(sale).outcome).toBe('unknown');
      expect(counter(card)).toBe(5);
    }
  });

  test('says no before the commit: nothing has happened', async () => {
    const sale = await sell(anyCard(), { wrong: { apdu: 5, change: () => bytes('91be') } });
    expect(failed(sale)).toEqual({
      ok: false,
      reason: 'refused',
      at: 'read purse',
      status: 'boundary',
      outcome: 'not-executed',
    });
  });
});

describe('a card that cannot be used', () => {
  test('with another key is told apart, after one try', async () => {
    const card = anyCard();
    const sale = await sell(card, {}, KEYS.k2);
    expect(failed(sale)).toMatchObject({ reason: 'wrong-key', outcome: 'not-executed' });
    expect(card.memory.failures).toBe(1);
    expect(sale.sent).toHaveLength(3);
  });

  test('that delays after failed tries is told apart', async () => {
    const card = anyCard({ failureLimit: 1 });
    await sell(card, {}, KEYS.k2);
    expect(failed(await sell(card))).toMatchObject({ reason: 'delay', outcome: 'not-executed' });
  });

  test('without our application is told apart', async () => {
    const sale = await sell(anyCard(), { wrong: { apdu: 0, change: () => bytes('6a82') } });
    expect(failed(sale)).toMatchObject({ reason: 'not-ours', at: 'select', outcome: 'not-executed' });
  });

  test('that refuses the challenge for another reason says which', async () => {
    const sale = await sell(anyCard(), { wrong: { apdu: 1, change: () => bytes('9140') } });
    expect(failed(sale)).toMatchObject({ reason: 'refused', status: 'no such key' });
  });
});

test('our table of files is the card’s: kinds, rights and protection', () => {
  const { files } = anyCard().memory;
  const ours = Object.values(LIGHT.files).map(({ no, kind, access, mode }) => ({
    no,
    kind,
    access: [...access],
    mode,
  }));
  const cards = ours.map(({ no }) => {
    const file = files.get(no);
    return { no, kind: file?.kind, access: [...(file?.access ?? [])], mode: file?.mode };
  });
  expect(ours).toEqual(cards);
  expect(files.size).toBe(ours.length);
});

const flip = (bit: number) => (reply: Uint8Array) => {
  const changed = reply.slice();
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
};

async function replies(): Promise<Uint8Array[]> {
  const reader = field(anyCard());
  reader.insert();
  const seen: Uint8Array[] = [];
  await play(account({ key1, rndA, record, tmri, journal: () => {} }), async (apdu) => {
    const reply = await reader.transmit(apdu);
    seen.push(reply);
    return reply;
  });
  return seen;
}

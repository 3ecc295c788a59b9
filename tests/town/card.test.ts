/** The emulated card against published bytes of real cards, and the rules that make it refuse. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytes, hex } from '../cards/hex.ts';
import { type Card, createCard } from './card.ts';
import { cardCommands, type Workplace } from './cardcommands.ts';
import { cardSessionKeys, commandMac, concat, lsb, openZeroIv, sealZeroIv, turned } from './cardcrypto.ts';
import type { CardMemory } from './cardfiles.ts';
import { emptyTransaction } from './cardtransaction.ts';
import { anyCard, KEYS } from './deck.ts';
import { field } from './field.ts';

const SELECT = bytes('00a4040c10a00000039656434103f015400000000b00');
const wrap = (ins: string, body = '') =>
  bytes(body === '' ? `90${ins}000000` : `90${ins}0000${(body.length / 2).toString(16).padStart(2, '0')}${body}00`);
const send = (card: Card, ins: string, body = '') => hex(card.process(wrap(ins, body)));

/** A reader of few lines: authenticates, and sends commands in MAC mode. */
function login(card: Card, keyNo: number, key: Uint8Array) {
  expect(hex(card.process(SELECT))).toBe('9000');
  return authenticate(card, keyNo, key);
}

function authenticate(card: Card, keyNo: number, key: Uint8Array, before?: { ti: Uint8Array; ctr: number }) {
  const rndA = new Uint8Array(16).fill(0x3c);
  const first = before === undefined;
  const challenge = card.process(wrap(first ? '71' : '77', hex(Uint8Array.of(keyNo)) + (first ? '00' : '')));
  expect(hex(challenge.slice(-2))).toBe('91af');
  const rndB = openZeroIv(key, challenge.slice(0, -2));
  const proof = card.process(wrap('af', hex(sealZeroIv(key, concat(rndA, turned(rndB))))));
  expect(hex(proof.slice(-2))).toBe('9100');
  const plain = openZeroIv(key, proof.slice(0, -2));
  expect(hex(plain)).toContain(hex(turned(rndA)));
  const ti = before?.ti ?? plain.slice(0, 4);
  return { keyNo, ...cardSessionKeys(key, rndA, rndB), ti, ctr: before?.ctr ?? 0 };
}

function ask(card: Card, session: ReturnType<typeof login>, ins: string, body: string): string {
  const mac = commandMac(session, Number.parseInt(ins, 16), bytes(body));
  const reply = hex(card.process(wrap(ins, body + hex(mac))));
  session.ctr += 1;
  return reply;
}

describe('the emulated card and published bytes', () => {
  test('it authenticates with the bytes of AN12196 table 14', () => {
    const chances = [bytes('b9e2fc789b64bf237cccaa20ec7e6e48'), bytes('9d00c4df')];
    const memory = anyCard().memory;
    memory.keys[0] = { key: new Uint8Array(16), version: 0 };
    const card = createCard(memory, () => chances.shift() ?? new Uint8Array());
    card.process(SELECT);
    expect(send(card, '71', '0000')).toBe('a04c124213c186f22399d33ac2a3021591af');
    expect(send(card, 'af', '35c3e05a752e0144bac0de51c1f22c56b34408a23d8aea266cab947ea8e0118d')).toBe(
      '3fa64db5446d1f34cd6ea311167f5e4985b89690c04a05f17fa7ab2f081206639100',
    );
  });

  test('it certifies a transaction as a real EV3 card did', () => {
    const file = join(process.cwd(), 'tests', 'cards', 'card-vectors.json');
    const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly {
      name: string;
      inputs: never;
      expected: never;
    }[];
    const vector = vectors.find(({ name }) => name === 'real-ev3-card-tmv-with-readerid') as unknown as {
      inputs: {
        tmacKey: string;
        uid: string;
        tmi: string;
        commands: readonly { offset: number; data: string }[];
        commitReaderId: { tmriCur: string; tmriPrev: string };
      };
      expected: { tmv: string; encTmri: string };
    };
    const { inputs, expected } = vector;
    const memory: CardMemory = { ...anyCard().memory, uid: bytes(inputs.uid), files: new Map() };
    const rights = { access: [0x10, 0x1f], mode: 'mac' } as const;
    memory.files.set(2, { ...rights, kind: 'cyclic', recordSize: 256, slots: 3, records: [] });
    const tmriPrev = bytes(inputs.commitReaderId.tmriPrev);
    const tmac = {
      kind: 'tmac',
      key: bytes(inputs.tmacKey),
      keyVersion: 0,
      tmc: 2,
      tmv: new Uint8Array(8),
      tmriPrev,
    } as const;
    memory.files.set(0x0f, { ...rights, ...tmac });
    const place: Workplace = { memory, transaction: emptyTransaction(), authenticated: true, mode: 'mac' };
    for (const { offset, data } of inputs.commands) {
      const header = concat([2], lsb(offset, 3), lsb(data.length / 2, 3));
      expect(cardCommands[0x8b]?.run(place, header, bytes(data))).toBeInstanceOf(Uint8Array);
    }
    const hidden = cardCommands[0xc8]?.run(place, new Uint8Array(), bytes(inputs.commitReaderId.tmriCur));
    expect(hex(hidden as Uint8Array)).toBe(expected.encTmri);
    expect(hex(place.transaction.tmi)).toBe(inputs.tmi);
    const done = cardCommands[0xc7]?.run(place, Uint8Array.of(1), new Uint8Array());
    expect(hex(done as Uint8Array)).toBe(`03000000${expected.tmv}`);
  });
});

describe('the emulated card answers', () => {
  test('its UID to the reader, without being disturbed', () => {
    const card = anyCard();
    const session = login(card, 1, KEYS.debit);
    expect(hex(card.process(bytes('ffca000000')))).toBe('045a115a3461809000');
    expect(ask(card, session, '64', '01')).toMatch(/^01.{16}9100$/);
  });

  test('its version in three frames, which count as one command', () => {
    const card = anyCard();
    card.process(SELECT);
    expect(send(card, '60')).toBe('0408013000130591af');
    expect(send(card, 'af')).toBe('0408013000130591af');
    expect(send(card, 'af')).toMatch(/^045a115a346180.{14}9100$/);
    const session = login(card, 1, KEYS.debit);
    expect(ask(card, session, '60', '')).toMatch(/91af$/);
    send(card, 'af');
    expect(send(card, 'af')).toMatch(/^045a115a346180.{14}.{16}9100$/);
    expect(ask(card, session, '64', '03')).toMatch(/^01.{16}9100$/);
  });

  test('key versions and file settings before anyone has authenticated', () => {
    const card = anyCard({ versions: { debit: 7 } });
    card.process(SELECT);
    expect(send(card, '64', '01')).toBe('079100');
    expect(send(card, '64', '05')).toBe('9140');
    expect(send(card, 'f5', '00')).toBe('0001301f0001009100');
    expect(send(card, 'f5', '01')).toBe('04033011100000050000040000' + '9100');
    expect(send(card, 'f5', '03')).toBe('0203301f00000000400d030000000000009100');
    expect(send(card, 'f5', '0f')).toBe('0501101f02019100');
    expect(send(card, 'f5', '1f')).toBe('000030ef2000009100');
    expect(send(card, 'f5', '09')).toBe('91f0');
  });

  test('reads of a free file without a key, and of a keyed one only with it', () => {
    const card = anyCard();
    card.process(SELECT);
    expect(send(card, 'ad', '1f000000040000')).toBe('000000009100');
    expect(send(card, 'ad', '1f1e0000040000')).toBe('91be');
    expect(send(card, 'ad', '00000000040000')).toBe('91ae');
    expect(send(card, 'ab', '01000000040000')).toBe('91ae');
    const session = login(card, 4, KEYS.k4);
    expect(ask(card, session, 'ad', '00000000040000')).toBe('919d');
  });

  test('with its counter file as the last commit left it', () => {
    const card = anyCard();
    const session = login(card, 1, KEYS.debit);
    const tmac = card.memory.files.get(0x0f);
    const tmv = tmac?.kind === 'tmac' ? hex(tmac.tmv) : '';
    expect(ask(card, session, 'ad', '0f0000000c0000').slice(0, 24)).toBe(`04000000${tmv}`);
    expect(tmv).not.toBe('00'.repeat(8));
  });

  test('nothing but errors to what it does not know', () => {
    const card = anyCard();
    expect(hex(card.process(bytes('00b0000000')))).toBe('6e00');
    expect(hex(card.process(bytes('00a4040c02df0100')))).toBe('6a82');
    expect(hex(card.process(bytes('00a4000c02df0100')))).toBe('6a86');
    expect(hex(card.process(bytes('00a4040c10a000')))).toBe('6700');
    card.process(SELECT);
    expect(send(card, '1c')).toBe('911c');
    expect(send(card, 'af')).toBe('911c');
    expect(hex(card.process(bytes('9064000005ff00')))).toBe('917e');
  });
});

describe('the emulated card refuses', () => {
  test('a wrong MAC, and forgets the session', () => {
    const card = anyCard();
    const session = login(card, 1, KEYS.debit);
    expect(send(card, '64', `01${'00'.repeat(8)}`)).toBe('911e');
    expect(ask(card, session, 'c7', '01')).toBe('917e');
    expect(send(card, '51')).toBe('91ae');
  });

  test('a command that was counted twice or not at all', () => {
    const card = anyCard();
    const session = login(card, 1, KEYS.debit);
    session.ctr = 1;
    expect(ask(card, session, '64', '01')).toBe('911e');
  });

  test('a MAC over a count that left out a plain command', () => {
    const card = anyCard();
    const session = login(card, 1, KEYS.debit);
    expect(send(card, 'ad', '1f000000040000')).toBe('000000009100');
    expect(ask(card, session, '64', '01')).toBe('911e');
  });

  test('the key after too many wrong tries, until the delay is over', () => {
    const card = anyCard({ failureLimit: 3 });
    const fail = () => {
      card.process(SELECT);
      send(card, '71', '0100');
      return send(card, 'af', '00'.repeat(32));
    };
    expect([fail(), fail(), fail()]).toEqual(['91ae', '91ae', '91ae']);
    card.process(SELECT);
    expect(send(card, '71', '0100')).toBe('91ad');
    card.memory.failures = 0;
    login(card, 1, KEYS.debit);
  });

  test('forgets the failed tries once the right key was proven', () => {
    const card = anyCard({ failureLimit: 3 });
    card.process(SELECT);
    send(card, '71', '0100');
    send(card, 'af', '00'.repeat(32));
    expect(card.memory.failures).toBe(1);
    login(card, 1, KEYS.debit);
    expect(card.memory.failures).toBe(0);
  });

  test('a commit without a reader id, and changes nothing', () => {
    const card = anyCard();
    const session = login(card, 1, KEYS.debit);
    expect(ask(card, session, 'c7', '01')).toBe('919d');
    const tmac = card.memory.files.get(0x0f);
    expect(tmac?.kind === 'tmac' && tmac.tmc).toBe(4);
  });

  test('to add value with the key that kiosks hold', () => {
    const card = anyCard();
    const session = login(card, 1, KEYS.debit);
    expect(ask(card, session, '0c', `03${'01000000'}`)).toBe('919d');
  });

  test('an authentication that is interrupted by another command', () => {
    const card = anyCard();
    card.process(SELECT);
    send(card, '71', '0100');
    expect(send(card, '64', '01')).toBe('91ca');
    expect(send(card, '71', '0900')).toBe('9140');
    expect(send(card, '71', '01')).toBe('917e');
    expect(send(card, '77', '01')).toBe('91ae');
  });
});

/** Runs commands inside one transaction without their protection, which the other tests cover. */
function place(card: Card): Workplace & { run(ins: number, header: string, data?: string): Uint8Array | number } {
  const made: Workplace = { memory: card.memory, transaction: emptyTransaction(), authenticated: true, mode: 'full' };
  const run = (ins: number, header: string, data = '') =>
    cardCommands[ins]?.run(made, bytes(header), bytes(data)) ?? 0x1c;
  return Object.assign(made, { run });
}

describe('an emulated transaction', () => {
  const purse = (card: Card) => {
    const file = card.memory.files.get(3);
    return file?.kind === 'value' ? file.value : null;
  };

  test('shows the old balance until the commit and changes all together', () => {
    const card = anyCard();
    const at = place(card);
    expect(at.run(0xdc, '03', '50c30000')).toEqual(new Uint8Array());
    expect(hex(at.run(0x6c, '03') as Uint8Array)).toBe('f8240100');
    expect(purse(card)).toBe(75_000);
    at.run(0xc8, '', '11'.repeat(16));
    expect(hex(at.run(0xc7, '01') as Uint8Array)).toMatch(/^05000000/);
    expect(purse(card)).toBe(25_000);
  });

  test('takes and adds within the bounds of the purse only', () => {
    const at = place(anyCard());
    expect(at.run(0xdc, '03', 'f9240100')).toBe(0xbe);
    expect(at.run(0x0c, '03', '49e80100')).toBe(0xbe);
    expect(at.run(0x0c, '03', '000000ff')).toBe(0x9e);
    expect(at.run(0x0c, '03', '48e80100')).toEqual(new Uint8Array());
    expect(at.run(0x0c, '03', '01000000')).toBe(0xbe);
  });

  test('rewrites its waiting record, and keeps the last four', () => {
    const card = anyCard();
    const at = place(card);
    at.run(0x8b, '01000000100000', 'aa'.repeat(16));
    at.run(0x8b, '01000000020000', 'bbbb');
    at.run(0xc8, '', '11'.repeat(16));
    at.run(0xc7, '00');
    const file = card.memory.files.get(1);
    const records = file?.kind === 'cyclic' ? file.records.map(hex) : [];
    expect(records).toHaveLength(4);
    expect(records[3]).toBe(`bbbb${'aa'.repeat(14)}`);
    expect(hex(at.run(0xab, '01000000010000') as Uint8Array)).toBe(records[3]);
    expect(hex(at.run(0xab, '01010000000000') as Uint8Array)).toBe(records.slice(0, 3).join(''));
    expect(at.run(0xab, '01000000050000')).toBe(0xbe);
    expect(at.run(0x8b, '01010000100000', 'aa'.repeat(16))).toBe(0xbe);
  });

  test('is given up by an abort, and by select', () => {
    const card = anyCard();
    const at = place(card);
    at.run(0xdc, '03', '50c30000');
    at.run(0xa7, '');
    at.run(0xc8, '', '11'.repeat(16));
    at.run(0xc7, '01');
    expect(purse(card)).toBe(75_000);
  });

  test('carries on when another key is proven in the middle', () => {
    const card = anyCard();
    const debit = login(card, 1, KEYS.debit);
    expect(ask(card, debit, 'c8', '11'.repeat(16))).toMatch(/9100$/);
    const credit = authenticate(card, 3, KEYS.credit, debit);
    expect(hex(credit.ti)).toBe(hex(debit.ti));
    expect(ask(card, credit, 'c7', '01')).toMatch(/^05000000.{16}.{16}9100$/);
  });
});

describe('a field', () => {
  test('gives nothing without a card, nor after it was torn', async () => {
    const card = anyCard();
    const reader = field(card);
    expect(await reader.transmit(SELECT)).toHaveLength(0);
    reader.insert({ tear: { apdu: 1, when: 'before' } });
    expect(hex(await reader.transmit(bytes('ffca000000')))).toMatch(/9000$/);
    expect(hex(await reader.transmit(SELECT))).toBe('9000');
    expect(await reader.transmit(wrap('60'))).toHaveLength(0);
    expect(await reader.transmit(SELECT)).toHaveLength(0);
    reader.insert({ wrong: { apdu: 0, change: (reply) => reply.slice(1) } });
    expect(hex(await reader.transmit(SELECT))).toBe('00');
    reader.remove();
    expect(await reader.transmit(SELECT)).toHaveLength(0);
  });
});

/** An NTAG 424 from the factory to its first payment: torn at any command it goes on, and it pays by its key alone. */
import { describe, expect, test } from 'vitest';
import { decrypt, encrypt } from '../../cards/aes.ts';
import { diversification, diversifier } from '../../cards/diversify.ts';
import type { Keyring } from '../../cards/keyring.ts';
import { LIGHT, NTAG, TAG_KEY_NO } from '../../cards/layout.ts';
import { tagContent } from '../../cards/ndef.ts';
import { profileOf } from '../../cards/opening.ts';
import { genuine, MAKER_KEYS } from '../../cards/originality.ts';
import { type PrepareOrder, prepare } from '../../cards/prepare.ts';
import { roll } from '../../cards/roll.ts';
import { type Failure, play, type Script } from '../../cards/script.ts';
import { readSun } from '../../cards/sun.ts';
import { proveTag, startTagPayment, type Transcript, verifyTranscript } from '../../cards/tagpayment.ts';
import { personaliseTag, type TagOrder } from '../../cards/tagpersonalise.ts';
import { blankCard } from '../town/blank.ts';
import { type Card, createCard } from '../town/card.ts';
import { countingRandom } from '../town/deck.ts';
import { field, type Trouble } from '../town/field.ts';
import { blankNtag } from '../town/ntag.ts';
import { bytes, flips, hex } from './hex.ts';

const UID = bytes('047728824d6580');
/** The maker's own signature of this UID (vector orig-ntag424-047728824d6580). */
const SIGNATURE = bytes(
  '9c7068636a285feba1e2406654009dce6e8a9c9ce318be0262ed162519b970b32fb802858420d667d12cebcd32bb4bc8afe21c753a5a6c26',
);
const ADDRESS = 'https://simpul.example/t';
const diversified = diversifier(new Uint8Array(16).fill(0xb0));
/** Key 3 is common to all cards. */
const key = (no: number, version: number): Uint8Array =>
  no === TAG_KEY_NO.metaRead ? new Uint8Array(16).fill(0x30 + version) : diversified(diversification(UID, no, version));
const ring: Keyring = (no, version) => (version === 1 || version === 2 ? key(no, version) : null);
const KEYS = [0, 1, 2, 3, 4];
const CHANGING = [0xc4, 0x5f, 0x8d];

interface Journal {
  readonly changes: { readonly no: number; readonly from: number; readonly to: number }[];
}
const journalOf = (): Journal => ({ changes: [] });
const base = (journal: Journal, version = 1) => ({
  ring,
  version,
  random: countingRandom(),
  journal: (change: Journal['changes'][number]) => void journal.changes.push(change),
});
/** Each signature is checked once: the curve is slow, and hundreds of tags here show the same. */
const verdicts = new Map<string, boolean>();
function checked(signature: Uint8Array): boolean {
  const verdict = verdicts.get(hex(signature)) ?? genuine(UID, signature, MAKER_KEYS.ntag424);
  verdicts.set(hex(signature), verdict);
  return verdict;
}
const preparing = (journal: Journal): PrepareOrder => ({
  ...base(journal),
  profile: NTAG,
  genuine: checked,
  known: false,
});
const personalising = (journal: Journal, address = ADDRESS): TagOrder => ({ ...base(journal), address });
const rolling = (journal: Journal) => roll({ ...base(journal, 2), profile: NTAG });

async function lay<T>(card: Card, script: Script<T>, trouble?: Trouble, journal?: Journal) {
  const reader = field(card);
  reader.insert(trouble);
  const exchanges: { sent: Uint8Array; got: Uint8Array }[] = [];
  let changes = 0;
  const result = await play(script, async (sent) => {
    if (sent[1] === 0xc4) changes += 1;
    // Written down before it is sent.
    if (journal !== undefined) expect(journal.changes.length).toBe(changes);
    const got = await reader.transmit(sent);
    exchanges.push({ sent, got });
    return got;
  });
  reader.remove();
  return { result, exchanges };
}

const blank = () => blankNtag({ uid: UID, random: countingRandom(), signature: SIGNATURE });

async function prepared(): Promise<Card> {
  const card = blank();
  expect((await lay(card, prepare(preparing(journalOf())))).result).toEqual({ ok: true, changed: true });
  return card;
}

async function ready(): Promise<Card> {
  const card = await prepared();
  expect((await lay(card, personaliseTag(personalising(journalOf())))).result).toEqual({ ok: true });
  return card;
}

/** What the tag itself tells without a session, as bytes. */
function told(card: Card, ins: number, no: number): string {
  card.process(bytes('00a4040c07d276000085010100'));
  return hex(card.process(Uint8Array.of(0x90, ins, 0, 0, 1, no, 0)));
}

/** What a phone reads of file 02, as ISO 7816-4 lets it: the text of its record, `https://` put in front. */
function phone(card: Card): URL {
  const iso = (apdu: string) => card.process(bytes(apdu));
  for (const select of ['00a4040007d276000085010100', '00a4000c02e104']) {
    expect(hex(iso(select))).toMatch(/9000$/);
  }
  const file = iso('00b0000000');
  expect(hex(file.slice(-2))).toBe('9000');
  const length = ((file[0] ?? 0) << 8) | (file[1] ?? 0);
  expect(hex(file.slice(2, 7))).toBe(`d101${(length - 4).toString(16).padStart(2, '0')}5504`);
  return new URL(`https://${Buffer.from(file.slice(7, 2 + length)).toString('latin1')}`);
}

function reading(card: Card, metaVersion = 1, fileVersion = metaVersion) {
  const url = phone(card);
  const [encPicc, mac] = [url.searchParams.get('p') ?? '', url.searchParams.get('m') ?? ''];
  expect(url.href).toBe(`${ADDRESS}?p=${encPicc}&m=${mac}`);
  return readSun({ encPicc, macInput: `${encPicc}&m=`, mac }, key(TAG_KEY_NO.metaRead, metaVersion), (uid) =>
    hex(uid) === hex(UID) ? key(TAG_KEY_NO.fileRead, fileVersion) : null,
  );
}

/** Keys, rights and mirroring, written out once more: not the client's table. */
function expectReady(card: Card, version: number): void {
  expect(card.memory.keys.map((held) => [held.version, hex(held.key)])).toEqual(
    KEYS.map((no) => [version, hex(key(no, version))]),
  );
  for (const no of KEYS) expect(told(card, 0x64, no)).toBe(`0${version}9100`);
  expect(told(card, 0xf5, 1)).toBe('000000e02000009100');
  expect(told(card, 0xf5, 2)).toBe('004000e0000100c1ff321a00001a00003d00009100');
  expect(told(card, 0xf5, 3)).toBe('000300008000009100');
  const file = card.memory.files.get(2);
  expect(file?.kind === 'standard' && hex(file.content)).toBe(hex(tagContent(ADDRESS).file));
  expect(card.memory.failures).toBe(0);
}

describe('a tag on its way', () => {
  test('a blank tag becomes ready, and a phone that reads it twice shows two readings of this tag', async () => {
    const card = await ready();
    expectReady(card, 1);
    expect(reading(card)).toEqual({ ok: true, tap: { uid: UID, counter: 1 }, file: null });
    expect(reading(card)).toEqual({ ok: true, tap: { uid: UID, counter: 2 }, file: null });
  });

  test('after a roll-over it is read under its new keys, and no more under an older', async () => {
    const card = await ready();
    expect((await lay(card, rolling(journalOf()))).result).toEqual({ ok: true, changed: true });
    expectReady(card, 2);
    expect(reading(card, 2)).toMatchObject({ ok: true });
    expect(reading(card, 2, 1)).toEqual({ ok: false, why: 'wrong-mac' });
  });

  test('a tag whose signature is not the maker’s, or a Light’s, keeps the factory’s key', async () => {
    const forged = blankNtag({ uid: UID, random: countingRandom(), signature: new Uint8Array(56) });
    const journal = journalOf();
    const refused = { ok: false, reason: 'not-genuine', outcome: 'not-executed' };
    expect((await lay(forged, prepare(preparing(journal)))).result).toMatchObject(refused);
    const light = {
      ...preparing(journal),
      genuine: (signature: Uint8Array) => genuine(UID, signature, MAKER_KEYS.light),
    };
    expect((await lay(blank(), prepare(light))).result).toMatchObject(refused);
    expect(journal.changes).toEqual([]);
  });

  test('a tag under the factory’s key 0, or a version never given, is refused before a key is tried', async () => {
    const foreign = await ready();
    for (const held of foreign.memory.keys) held.version = 7;
    for (const [card, reason] of [
      [blank(), 'not-prepared'],
      [foreign, 'other-version'],
    ] as const) {
      const { result, exchanges } = await lay(card, personaliseTag(personalising(journalOf())));
      expect(result).toMatchObject({ ok: false, reason, outcome: 'not-executed' });
      expect(exchanges.map(({ sent }) => sent[1])).not.toContain(0x71);
    }
  });

  test('played again on a tag that is ready, the same order changes nothing', async () => {
    const card = await ready();
    reading(card);
    const again = await lay(card, personaliseTag(personalising(journalOf())));
    expect(again.result).toEqual({ ok: true });
    expect(again.exchanges.filter(({ sent }) => CHANGING.includes(sent[1] ?? 0))).toEqual([]);
    expect(reading(card)).toMatchObject({ ok: true, tap: { counter: 2 } });
  });

  test('another address is refused while its count would come twice, and given after a roll-over', async () => {
    const card = await ready();
    reading(card);
    for (const address of ['https://simpul.example/x', 'https://kartu.simpul.example/tap']) {
      const { result } = await lay(card, personaliseTag(personalising(journalOf(), address)));
      expect(result).toMatchObject({ ok: false, reason: 'in-use', outcome: 'not-executed' });
    }
    expectReady(card, 1);
    await lay(card, rolling(journalOf()));
    for (const address of ['https://simpul.example/x', 'https://kartu.simpul.example/tap']) {
      const order = { ...personalising(journalOf(), address), version: 2, restart: true };
      expect((await lay(card, personaliseTag(order))).result).toEqual({ ok: true });
      expect(phone(card).href).toMatch(new RegExp(`^${address}\\?p=[0-9A-F]{32}&m=[0-9A-F]{16}$`));
    }
  });

  test('what a stranger wrote while the factory’s rights stood is gone', async () => {
    const card = blank();
    card.process(bytes('00a4040c07d276000085010100'));
    const written = card.process(
      Uint8Array.of(0x90, 0x8d, 0, 0, 0x47, 2, 0xc0, 0, 0, 0x40, 0, 0, ...Array(64).fill(0xee), 0),
    );
    expect(hex(written)).toBe('9100');
    await lay(card, prepare(preparing(journalOf())));
    await lay(card, personaliseTag(personalising(journalOf())));
    expectReady(card, 1);
  });
});

const stages: [
  string,
  () => Promise<Card>,
  (journal: Journal) => Script<{ readonly ok: true } | Failure>,
  (card: Card) => void,
][] = [
  [
    'prepared',
    async () => blank(),
    (journal) => prepare(preparing(journal)),
    ({ memory }) => expect(memory.keys.map(({ version }) => version)).toEqual([1, 0, 0, 0, 0]),
  ],
  ['personalised', prepared, (journal) => personaliseTag(personalising(journal)), (card) => expectReady(card, 1)],
  ['rolled over', ready, rolling, (card) => expectReady(card, 2)],
];

describe.each(stages)('a tag that is to be %s', (_, start, script, arrived) => {
  test('arrives from every tear, before each command and after it, without a failed try', async () => {
    const whole = await lay(await start(), script(journalOf()));
    expect(whole.result).toMatchObject({ ok: true });
    for (let apdu = 0; apdu < whole.exchanges.length; apdu++) {
      for (const when of ['before', 'after'] as const) {
        const card = await start();
        const journal = journalOf();
        const { result } = await lay(card, script(journal), { tear: { apdu, when } }, journal);
        expect(result).toMatchObject({ ok: false, reason: 'lost' });
        const resumed = await lay(card, script(journalOf()));
        expect(resumed.result).toMatchObject({ ok: true });
        expect(resumed.exchanges.filter(({ got }) => hex(got.slice(-2)) === '91ae')).toEqual([]);
        arrived(card);
      }
    }
  });

  test('arrives though any one reply was misheard, in its first byte or its last', async () => {
    const { exchanges } = await lay(await start(), script(journalOf()));
    for (let apdu = 0; apdu < exchanges.length; apdu++) {
      const card = await start();
      const change = (reply: Uint8Array) => {
        const at = apdu % 2 === 0 ? 0 : reply.length - 1;
        return reply.map((byte, i) => (i === at ? byte ^ 0x01 : byte));
      };
      await lay(card, script(journalOf()), { wrong: { apdu, change } });
      expect((await lay(card, script(journalOf()))).result).toMatchObject({ ok: true });
      arrived(card);
    }
  });

  test('arrives though every presence is torn one command later than the one before', async () => {
    const card = await start();
    for (let apdu = 0; ; apdu++) {
      const when = apdu % 2 === 0 ? 'before' : 'after';
      const { result } = await lay(card, script(journalOf()), { tear: { apdu, when } });
      if (result.ok) break;
    }
    arrived(card);
  });
});

test('a write torn in its midst is found and made good, at every eighth byte', async () => {
  const { exchanges } = await lay(await prepared(), personaliseTag(personalising(journalOf())));
  const writes = exchanges.flatMap(({ sent }, at) => (sent[1] === 0x8d ? [at] : []));
  expect(writes).toHaveLength(2);
  for (const apdu of writes) {
    for (let written = 0; written <= 128; written += 8) {
      const card = await prepared();
      await lay(card, personaliseTag(personalising(journalOf())), {
        tear: { apdu, when: 'during', executed: true, written },
      });
      expect((await lay(card, personaliseTag(personalising(journalOf())))).result).toEqual({ ok: true });
      expectReady(card, 1);
    }
  }
});

test('at no tear does a tag mirror under a key of the factory, or while others may write its file 02', async () => {
  const { exchanges } = await lay(await prepared(), personaliseTag(personalising(journalOf())));
  for (let apdu = 0; apdu < exchanges.length; apdu++) {
    const card = await prepared();
    await lay(card, personaliseTag(personalising(journalOf())), { tear: { apdu, when: 'after' } });
    const settings = told(card, 0xf5, 2);
    const factory = card.memory.keys.some(({ version }) => version === 0);
    if (factory) expect(settings.slice(2, 8)).toBe('00e0ee');
    else if (settings.startsWith('0040')) expectReady(card, 1);
  }
});

describe('the address on a tag', () => {
  test('is written, and its offsets counted, as in AN12196 tables 17 and 18', () => {
    const { file, piccData, mac } = tagContent('https://choose.url.com/ntag424');
    const note = '0051d1014d550463686f6f73652e75726c2e636f6d2f6e7461673432343f653d';
    const text = Buffer.from(file).toString('latin1');
    // The note names its parameters e and c.
    expect(hex(file.slice(0, piccData))).toBe(`${note.slice(0, -4)}703d`);
    expect(text.slice(piccData)).toBe(`${'0'.repeat(32)}&m=${'0'.repeat(16)}`.padEnd(256 - piccData, '\0'));
    expect([piccData, mac]).toEqual([0x20, 0x43]);
  });

  test('fills the file to its last byte, and is refused beyond', () => {
    const longest = `https://a.example/${'x'.repeat(256 - 7 - 10 - 3 - 32 - 3 - 16)}`;
    expect(tagContent(longest).mac + 16).toBe(256);
    expect(() => tagContent(`${longest}x`)).toThrow(RangeError);
  });

  test('is https, with a path and nothing behind it', () => {
    for (const wrong of [
      '',
      'http://a.example/t',
      'https://a.example',
      'https://a.example/t?x=1',
      'https://a.example/t#',
      'https://a.example/ü',
      'https://a.example/t ',
      'https://u@a.example/t',
      'javascript:alert(1)',
    ]) {
      expect(() => tagContent(wrong)).toThrow(RangeError);
    }
  });
});

describe('which of our cards lies there', () => {
  test('is told by selecting, without a key', async () => {
    const found = await lay(blank(), profileOf());
    expect(found.result).toEqual({ ok: true, profile: NTAG });
    expect(found.exchanges.map(({ sent }) => hex(sent.slice(0, 2)))).toEqual(['00a4', '00a4']);
    const light = blankCard({ uid: UID, random: countingRandom() });
    expect((await lay(light, profileOf())).result).toEqual({ ok: true, profile: LIGHT });
    const neither = createCard({ ...light.memory, dfName: Uint8Array.of(1, 2, 3) }, countingRandom());
    expect((await lay(neither, profileOf())).result).toMatchObject({ ok: false, reason: 'not-ours' });
    for (const apdu of [0, 1]) {
      const torn = await lay(blank(), profileOf(), { tear: { apdu, when: 'after' } });
      expect(torn.result).toMatchObject({ ok: false, reason: 'lost', outcome: 'not-executed' });
    }
  });
});

const RND_A: Uint8Array = Uint8Array.from({ length: 16 }, (_, at) => 0xa0 + at);

/** Kiosk half, then hub half, in one presence. */
function* paying(key1: Uint8Array, rndA = RND_A) {
  const start = yield* startTagPayment();
  return start.ok ? yield* proveTag({ key: key1, rndA, challenge: start.challenge }) : start;
}

async function paid(): Promise<Transcript> {
  const { result } = await lay(await ready(), paying(key(TAG_KEY_NO.pay, 1)));
  if (!result.ok) throw new Error(result.reason);
  return result.transcript;
}

describe('a payment with a tag', () => {
  test('is three commands, one of them with the hub’s key', async () => {
    const { result, exchanges } = await lay(await ready(), paying(key(TAG_KEY_NO.pay, 1)));
    expect(result).toMatchObject({ ok: true, session: { ctr: 0 } });
    expect(exchanges.map(({ sent }) => sent[1])).toEqual([0xa4, 0x71, 0xaf]);
  });

  test('is proven to who holds the key by its transcript, and by no transcript with one bit another', async () => {
    const transcript = await paid();
    const pay = key(TAG_KEY_NO.pay, 1);
    expect(verifyTranscript(pay, transcript)).toBe(true);
    for (const part of ['challenge', 'command', 'reply'] as const) {
      expect(transcript[part]).toHaveLength({ challenge: 16, command: 38, reply: 34 }[part]);
      for (const wrong of [...flips(transcript[part]), new Uint8Array(), transcript[part].slice(1)]) {
        expect(verifyTranscript(pay, { ...transcript, [part]: wrong })).toBe(false);
      }
      expect(verifyTranscript(pay, { ...transcript, [part]: Uint8Array.of(...transcript[part], 0) })).toBe(false);
    }
    for (const other of [key(TAG_KEY_NO.pay, 2), new Uint8Array(16)]) {
      expect(verifyTranscript(other, transcript)).toBe(false);
    }
  });

  test('leaves neither side’s challenge in clear in what is kept of it', async () => {
    const { challenge, command, reply } = await paid();
    const kept = [challenge, command, reply].map(hex).join();
    const rndB = decrypt(key(TAG_KEY_NO.pay, 1), new Uint8Array(16), challenge);
    for (const secret of [RND_A, rndB, key(TAG_KEY_NO.pay, 1)]) expect(kept).not.toContain(hex(secret));
  });

  test('fails with the key of another card, after one try, and nothing is booked', async () => {
    const card = await ready();
    const { result } = await lay(card, paying(new Uint8Array(16).fill(7)));
    expect(result).toMatchObject({ ok: false, reason: 'wrong-key', at: 'prove key', outcome: 'not-executed' });
    expect(card.memory.failures).toBe(1);
  });

  test('waits when the tag delays', async () => {
    const card = await ready();
    for (let i = 0; i < 50; i++) await lay(card, paying(new Uint8Array(16).fill(7)));
    const { result } = await lay(card, paying(key(TAG_KEY_NO.pay, 1)));
    expect(result).toMatchObject({ ok: false, reason: 'delay', at: 'authenticate', outcome: 'not-executed' });
  });

  test('fails at any tear, and with a Light', async () => {
    for (const apdu of [0, 1, 2]) {
      for (const when of ['before', 'after'] as const) {
        const { result } = await lay(await ready(), paying(key(TAG_KEY_NO.pay, 1)), { tear: { apdu, when } });
        expect(result).toMatchObject({ ok: false, reason: 'lost', outcome: 'not-executed' });
      }
    }
    const light = blankCard({ uid: UID, random: countingRandom() });
    expect((await lay(light, paying(key(1, 1)))).result).toMatchObject({ ok: false, reason: 'not-ours' });
  });

  test('is not believed when any bit of the reply is another, nor when the reply was heard before', async () => {
    const start = await lay(await ready(), startTagPayment());
    if (!start.result.ok) throw new Error(start.result.reason);
    const { challenge } = start.result;
    const { reply } = await paid();
    const pay = key(TAG_KEY_NO.pay, 1);
    const played = (answer: Uint8Array, rndA = RND_A, told = challenge) => {
      const script = proveTag({ key: pay, rndA, challenge: told });
      return script.next().done ? null : script.next([answer]).value;
    };
    for (const wrong of flips(reply)) expect(played(wrong)).toMatchObject({ ok: false, outcome: 'not-executed' });
    const fresh = encrypt(pay, new Uint8Array(16), RND_A);
    expect(played(reply, fresh)).toMatchObject({ ok: false, reason: 'garbled' });
  });

  test('does not begin with a challenge of another length', () => {
    for (const length of [0, 15, 17, 32]) {
      const turn = proveTag({ key: new Uint8Array(16), rndA: RND_A, challenge: new Uint8Array(length) }).next();
      expect(turn).toMatchObject({ done: true, value: { ok: false, reason: 'garbled' } });
    }
  });
});

/** Reload: the kiosk opens the transaction with key 1, the hub ends it with key 3 in one batch (TRUTH section 14). */
import { MORE, native, parseResponse } from './apdu.ts';
import { balanceQuestion, commitQuestion, identify, readLittle, recordQuestion } from './closing.ts';
import { commands, little } from './commands.ts';
import { KEY_NO, LIGHT } from './layout.ts';
import { type CardAccess, meet } from './meeting.ts';
import { plain } from './opening.ts';
import { type Failure, failure, type Question, type Script } from './script.ts';
import { advance, answerChallenge, openNonFirst, type Session, sessionKeys, unwrap, wrap } from './session.ts';
import type { CoveredCommand } from './tmac.ts';

export interface ReloadOpening extends CardAccess {
  /** Reader id of the kiosk's own deed, kind reload, 16 bytes. */
  readonly tmri: Uint8Array;
}

/** What the hub needs to go on with the card in the field; none of it opens anything without key 3. */
export interface ReloadStart {
  readonly ok: true;
  /** File 0F as read: TMC (little-endian) ‖ TMV of the last commit, 12 bytes. */
  readonly before: Uint8Array;
  /** The last four records, oldest first, 64 bytes. */
  readonly records: Uint8Array;
  /** The previous reader id, enciphered by the card, 16 bytes. */
  readonly encTmri: Uint8Array;
  /** Transaction identifier of the session, 4 bytes, and its counter: both carry on under key 3. */
  readonly ti: Uint8Array;
  readonly ctr: number;
  /** The card's challenge for key 3, 16 bytes. */
  readonly challenge: Uint8Array;
}

/**
 * The kiosk's half: `Select · 71 key 1 · AF · AD 0F · AB 01 0 4 · C8 · 77 key 3`. That AuthenticateEV2NonFirst keeps
 * the open transaction and the counter is assumed (CARDS section 3.2): the first thing to check on hardware.
 */
export function* startReload({ tmri, ...access }: ReloadOpening): Script<ReloadStart | Failure> {
  const met = yield* meet(access);
  if (!met.ok) return met;
  const reader = yield* identify(met.session, tmri);
  if (!reader.ok) return reader;
  const asked = yield* plain(
    'authenticate',
    native(commands.authenticateNonFirst.ins, Uint8Array.of(KEY_NO.credit)),
    MORE,
  );
  if (!asked.ok) return asked;
  const { ti, ctr } = reader.session;
  return { ok: true, before: met.before, records: met.records, encTmri: reader.data, ti, ctr, challenge: asked.data };
}

export interface CreditOrder {
  /** Key 3 of this card, 16 bytes. */
  readonly key3: Uint8Array;
  /** 16 random bytes, used once. */
  readonly rndA: Uint8Array;
  readonly start: Pick<ReloadStart, 'before' | 'ti' | 'ctr' | 'challenge'>;
  /** Rupiah, 1 to 2^28 − 1. */
  readonly amount: bigint;
  /** Record of the same deed, 16 bytes. */
  readonly record: Uint8Array;
}

export interface CreditDone {
  readonly ok: true;
  /** Purse balance before, in rupiah. */
  readonly opening: bigint;
  readonly tmc: number;
  /** The certificate, 8 bytes. */
  readonly tmv: Uint8Array;
}

const { purse, records: recordFile } = LIGHT.files;
const AMOUNT_LIMIT = 1n << 28n;
const COUNTER_LENGTH = 12;
const TI_LENGTH = 4;

/**
 * The hub's half: `AF · 6C 03 · 0C 03 · 8B 01 · C7 01` in one batch, since a command's MAC never depends on an earlier
 * reply: one wait for the network with the card in the field. Once the batch left, a card that gives no valid
 * certificate has executed or not: whoever relays may have kept a reply back, so every failure is `unknown`.
 * @throws RangeError for an amount that the record cannot name, or a start that is none.
 */
export function* credit(order: CreditOrder): Script<CreditDone | Failure> {
  const { key3, rndA, start, amount, record } = order;
  if (amount < 1n || amount >= AMOUNT_LIMIT) throw new RangeError(`a reload of Rp ${amount}`);
  // Before anything is sent: what the kiosk says is its own word.
  if (start.before.length !== COUNTER_LENGTH || start.ti.length !== TI_LENGTH)
    throw new RangeError('no start of a reload');
  const answer = answerChallenge(key3, rndA, start.challenge);
  if (answer === null) return failure('authenticate', 'garbled', 'not-executed', null);
  const before = { ti: start.ti, ctr: start.ctr, ...sessionKeys(answer.challenge) };
  const adding = {
    at: 'credit',
    command: commands.credit,
    protection: purse.mode,
    header: Uint8Array.of(purse.no),
    data: little(Number(amount), purse.size),
    replyLength: 0,
  };
  const questions: Asked[] = [];
  let session: Session = before;
  for (const question of [balanceQuestion, adding, recordQuestion(record), commitQuestion]) {
    questions.push({ ...question, session });
    session = advance(session);
  }
  const replies = yield [native(commands.additionalFrame.ins, answer.data), ...questions.map(apduOf)];
  const proof = parseResponse(replies[0] ?? new Uint8Array());
  if (proof === null) return failure('prove key', 'lost', 'unknown', null);
  if (openNonFirst(answer.challenge, before, proof.data) === null) {
    return failure('prove key', 'garbled', 'unknown', proof.status);
  }
  const data: Uint8Array[] = [];
  for (const [index, question] of questions.entries()) {
    const read = openReply(question, replies[index + 1]);
    if (!(read instanceof Uint8Array)) return read;
    data.push(read);
  }
  const [balance, , , certificate] = data;
  if (balance === undefined || certificate === undefined) throw new Error('a reply was read and is missing');
  const tmc = readLittle(certificate, 0);
  if (tmc !== readLittle(start.before, 0) + 1) return failure('commit', 'garbled', 'unknown', null);
  return { ok: true, opening: BigInt(readLittle(balance, 0)), tmc, tmv: certificate.slice(4) };
}

/** One command of the batch and the session in which it is asked. */
type Asked = Omit<Question, 'otherwise' | 'proven'> & { readonly session: Session };

function apduOf({ session, command, protection, header, data }: Asked): Uint8Array {
  return wrap(session, command, protection, header, data);
}

function openReply({ at, session, protection, replyLength }: Asked, reply: Uint8Array | undefined) {
  const response = parseResponse(reply ?? new Uint8Array());
  if (response === null) return failure(at, 'lost', 'unknown', null);
  const plainData = unwrap(session, protection, response);
  if (plainData === null || plainData.length !== replyLength) return failure(at, 'garbled', 'unknown', response.status);
  return plainData;
}

/** The typed command list of a reload as claims carry it, hex in lower case (TRUTH section 2). */
export function reloadCommands(
  { tmri, record, amount }: Pick<ReloadOpening, 'tmri'> & Pick<CreditOrder, 'record' | 'amount'>,
  { records, encTmri }: Pick<ReloadStart, 'records' | 'encTmri'>,
  opening: bigint,
): CoveredCommand[] {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return [
    { ins: 'AB', file: recordFile.no, from: 0, count: records.length / recordFile.size, data: hex(records) },
    { ins: 'C8', tmri: hex(tmri), encTmri: hex(encTmri) },
    { ins: '6C', file: purse.no, value: Number(opening) },
    { ins: '0C', file: purse.no, value: Number(amount) },
    { ins: '8B', file: recordFile.no, offset: 0, data: hex(record) },
  ];
}

/** The payments on the card, from account and from purse: nine or ten commands that end in the card's certificate. */
import { balanceQuestion, certify, type Marks, mark, readLittle } from './closing.ts';
import { commands, little } from './commands.ts';
import { LIGHT, RECORDS_READ } from './layout.ts';
import { type CardAccess, meet } from './meeting.ts';
import { ask, type Failure, failure, type Script } from './script.ts';
import type { Session } from './session.ts';
import type { CoveredCommand } from './tmac.ts';

/** What the card has shown before the commit: enough to rebuild the claim later. */
export interface PaymentIntent {
  /** File 0F as read: TMC (little-endian) ‖ TMV of the last commit, 12 bytes. */
  readonly before: Uint8Array;
  /** The last four records, oldest first, 64 bytes. */
  readonly records: Uint8Array;
  /** Purse balance, in rupiah. */
  readonly opening: bigint;
  /** The previous reader id, enciphered by the card, 16 bytes. */
  readonly encTmri: Uint8Array;
}

/** The payment is committed and certified. */
export interface PaymentDone extends PaymentIntent {
  readonly ok: true;
  /** The counter this transaction got. */
  readonly tmc: number;
  /** The certificate, 8 bytes. */
  readonly tmv: Uint8Array;
}

export interface PaymentOrder extends CardAccess, Marks {
  /**
   * Makes the intent durable. Called once, when nothing but the commit is left; it returns when the intent is on disk.
   * If it throws, the commit is never sent (TRUTH section 4).
   */
  readonly journal: (intent: PaymentIntent) => void;
}

export interface PurseOrder extends PaymentOrder {
  /** Rupiah, 1 to 2^28 − 1; the amount that the record names. */
  readonly amount: bigint;
}

/** What a payment does once it knows the balance: what it takes from the purse, 0 for nothing, and how it is marked. */
interface Decided extends Marks {
  readonly debit: bigint;
}

interface Payment extends CardAccess, Pick<PaymentOrder, 'journal'> {
  /** null: the purse does not hold enough, and nothing is to be done. */
  readonly decide: (opening: bigint) => Decided | null;
}

const { records: recordFile, purse } = LIGHT.files;
const AMOUNT_LIMIT = 1n << 28n;

/**
 * Until the commit is sent nothing has happened (`not-executed`). Once it was sent, anything but a reply with a valid
 * MAC leaves it `unknown`.
 */
function* pay({ decide, journal, ...access }: Payment): Script<PaymentDone | Failure> {
  const met = yield* meet(access);
  if (!met.ok) return met;
  const value = yield* ask(met.session, { ...balanceQuestion, otherwise: 'not-executed' });
  if (!value.ok) return value;
  const opening = BigInt(readLittle(value.data, 0));
  const decided = decide(opening);
  if (decided === null) return failure('read purse', 'short', 'not-executed', null);
  const taken = decided.debit === 0n ? value : yield* debit(value.session, decided.debit);
  if (!taken.ok) return taken;
  const reader = yield* mark(taken.session, decided);
  if (!reader.ok) return reader;
  const intent = { before: met.before, records: met.records, opening, encTmri: reader.data };
  journal(intent);
  const certificate = yield* certify(reader.session, readLittle(met.before, 0));
  if (!certificate.ok) return certificate;
  const { tmc, tmv } = certificate;
  return { ok: true, ...intent, tmc, tmv };
}

function debit(session: Session, amount: bigint) {
  return ask(session, {
    at: 'debit',
    command: commands.debit,
    protection: purse.mode,
    header: Uint8Array.of(purse.no),
    data: little(Number(amount), purse.size),
    replyLength: 0,
    otherwise: 'not-executed',
  });
}

/** `Select · 71 key 1 · AF · AD 0F · AB 01 0 4 · 6C 03 · 8B 01 · C8 · C7 01`: a sale from the account, or a heal. */
export function account({ record, tmri, ...order }: PaymentOrder): Script<PaymentDone | Failure> {
  return pay({ ...order, decide: () => ({ debit: 0n, record, tmri }) });
}

/**
 * The same with `DC 03 amount` behind the balance: a sale from the purse, ten commands. A purse that holds less ends
 * it as `short`, with nothing to undo.
 * @throws RangeError for an amount that the record cannot name.
 */
export function purchaseFromPurse({ amount, record, tmri, ...order }: PurseOrder): Script<PaymentDone | Failure> {
  if (amount < 1n || amount >= AMOUNT_LIMIT) throw new RangeError(`a purse sale of Rp ${amount}`);
  return pay({ ...order, decide: (opening) => (opening < amount ? null : { debit: amount, record, tmri }) });
}

export interface DrainOrder extends CardAccess, Pick<PaymentOrder, 'journal'> {
  /** Record and reader id of a drain of so many rupiah, which only the card can tell. */
  readonly marks: (amount: bigint) => Marks;
}

/** Empties the purse; commits an empty one too: an earlier drain's reply may have been lost (TRUTH section 6). */
export function drain({ marks, ...order }: DrainOrder): Script<PaymentDone | Failure> {
  return pay({ ...order, decide: (opening) => ({ debit: opening, ...marks(opening) }) });
}

/**
 * The typed command list of a payment as claims carry it, hex in lower case.
 * @param debit what it took from the purse, in rupiah; 0 for a sale from the account
 */
export function coveredCommands(
  { record, tmri }: Marks,
  { records, opening, encTmri }: Pick<PaymentIntent, 'records' | 'opening' | 'encTmri'>,
  debit: bigint,
): CoveredCommand[] {
  const taken: CoveredCommand[] = debit === 0n ? [] : [{ ins: 'DC', file: purse.no, value: Number(debit) }];
  return [
    { ins: 'AB', file: recordFile.no, from: 0, count: RECORDS_READ, data: hex(records) },
    { ins: '6C', file: purse.no, value: Number(opening) },
    ...taken,
    { ins: '8B', file: recordFile.no, offset: 0, data: hex(record) },
    { ins: 'C8', tmri: hex(tmri), encTmri: hex(encTmri) },
  ];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

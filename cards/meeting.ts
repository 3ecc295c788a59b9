/** How every conversation with a card begins: select, authenticate, read the counter file and the last records. */
import { ISO_OK, MORE, native, OK, parseResponse, select } from './apdu.ts';
import { commands, range } from './commands.ts';
import { KEY_NO, LIGHT, RECORDS_READ } from './layout.ts';
import { ask, type Failure, failure, type Script } from './script.ts';
import { answerChallenge, openFirst, type Session } from './session.ts';

/** Session under one key of our application. */
export interface CardAccess {
  /** Key 1 of this card, 16 bytes. */
  readonly key1: Uint8Array;
  /** 16 random bytes, used once. */
  readonly rndA: Uint8Array;
}

/** What the card showed under its own MAC. */
export interface Meeting {
  readonly ok: true;
  readonly session: Session;
  /** File 0F: TMC (little-endian) ‖ TMV of the last commit, 12 bytes. */
  readonly before: Uint8Array;
  /** The last four records, oldest first, 64 bytes; now part of the transaction. */
  readonly records: Uint8Array;
}

const { counter, records: recordFile } = LIGHT.files;
const RECORDS_LENGTH = RECORDS_READ * recordFile.size;
const NOT_FOUND = 0x6a82;
const AUTHENTICATION_ERROR = 0x91ae;
const AUTHENTICATION_DELAY = 0x91ad;

/** `Select · 71 key 1 · AF · AD 0F · AB 01 0 4`: nothing is changed on the card. */
export function* meet(access: CardAccess): Script<Meeting | Failure> {
  const selected = yield* plain('select', select(LIGHT.dfName), ISO_OK);
  if (!selected.ok) return selected;
  const opened = yield* authenticate(access);
  if (!opened.ok) return opened;
  const before = yield* ask(opened.session, {
    at: 'read counter',
    command: commands.readData,
    protection: counter.mode,
    header: range(counter.no, 0, counter.size),
    replyLength: counter.size,
    otherwise: 'not-executed',
  });
  if (!before.ok) return before;
  const records = yield* ask(before.session, {
    at: 'read records',
    command: commands.readRecords,
    protection: recordFile.mode,
    header: range(recordFile.no, 0, RECORDS_READ),
    replyLength: RECORDS_LENGTH,
    otherwise: 'not-executed',
  });
  if (!records.ok) return records;
  return { ok: true, session: records.session, before: before.data, records: records.data };
}

/** AuthenticateEV2First with key 1 (CARDS section 3.1). */
function* authenticate({ key1, rndA }: CardAccess): Script<{ ok: true; session: Session } | Failure> {
  const asked = yield* plain(
    'authenticate',
    native(commands.authenticateFirst.ins, Uint8Array.of(KEY_NO.debit, 0)),
    MORE,
  );
  if (!asked.ok) return asked;
  const answer = answerChallenge(key1, rndA, asked.data);
  if (answer === null) return failure('authenticate', 'garbled', 'not-executed', MORE);
  const proved = yield* plain('prove key', native(commands.additionalFrame.ins, answer.data), OK);
  if (!proved.ok) return proved;
  const session = openFirst(answer.challenge, proved.data);
  return session === null ? failure('prove key', 'garbled', 'not-executed', OK) : { ok: true, session };
}

/** One command outside a session, which must end with this status. */
function* plain(at: string, apdu: Uint8Array, wanted: number): Script<{ ok: true; data: Uint8Array } | Failure> {
  const [reply] = yield [apdu];
  const response = parseResponse(reply ?? new Uint8Array());
  if (response === null) return failure(at, 'lost', 'not-executed', null);
  const { data, status } = response;
  if (status === wanted) return { ok: true, data };
  if (status === NOT_FOUND) return failure(at, 'not-ours', 'not-executed', status);
  if (status === AUTHENTICATION_ERROR) return failure(at, 'wrong-key', 'not-executed', status);
  if (status === AUTHENTICATION_DELAY) return failure(at, 'delay', 'not-executed', status);
  return failure(at, 'refused', 'not-executed', status);
}

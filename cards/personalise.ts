/** Personalise: keys, counter file, rights, ceiling, files, first records; each step asks if it is so already. */
import { balanceQuestion, certify, type Marks, mark, readLittle } from './closing.ts';
import { commands, range } from './commands.ts';
import { makeFiles } from './evfiles.ts';
import { changeOthers, FACTORY_VERSION, type JournalChange, type Keyring, mustBeVersion } from './keyring.ts';
import { KEY_NO, LIGHT } from './layout.ts';
import { readCounter } from './meeting.ts';
import { authenticate, keyVersions, selectOurs } from './opening.ts';
import { type Answer, ask, type Failure, failure, type Script } from './script.ts';
import type { Session } from './session.ts';
import { setCeiling, setCounterFile, setRights } from './settings.ts';

export interface PersonaliseOrder {
  /** Kind of the chip; left out: Light. An EV2 or EV3 has no files before this, and gets the very same. */
  readonly chip?: 'light' | 'ev';
  readonly ring: Keyring;
  /** Version of the keys 0 to 4, 1 to 255. */
  readonly version: number;
  /** Key of the counter file, 16 bytes, and its version, never used before for this card (TRUTH section 8). */
  readonly tmac: { readonly key: Uint8Array; readonly version: number };
  /** Most that the purse may hold, in rupiah. */
  readonly ceiling: number;
  /** Content of the statement file, 1 to 240 bytes, and of the profile file, 32 bytes. */
  readonly statement: Uint8Array;
  readonly profile: Uint8Array;
  /** Record and reader id of the first four commits, kind personalise. */
  readonly marks: readonly [Marks, Marks, Marks, Marks];
  readonly random: (bytes: number) => Uint8Array;
  readonly journal: JournalChange;
}

/** A certificate of a personalise commit made in this run. */
export interface FirstCommit {
  readonly tmc: number;
  readonly tmv: Uint8Array;
  readonly encTmri: Uint8Array;
}

export interface Personalised {
  readonly ok: true;
  /** The commits of this run: none if all four were made before. */
  readonly commits: readonly FirstCommit[];
}

type Opened = { readonly ok: true; readonly session: Session } | Failure;

/** Longest that fits one APDU beside header and MAC; a statement never is longer (TRUTH section 2). */
const WRITE_MAX = 240;
const FIRST_COMMITS = 4;

/** Our application anew, in the session of one of its keys. */
function* open({ ring, version, random }: PersonaliseOrder, no: number): Script<Opened> {
  const selected = yield* selectOurs();
  if (!selected.ok) return selected;
  const key = ring(no, version);
  if (key === null) throw new RangeError(`no key ${no} of version ${version}`);
  return yield* authenticate({ no, key }, random(16));
}

/**
 * Everything between `prepared` and `ready` on the card (CARDS section 5.2). May be played again whatever became of it
 * before: it goes on where the card is.
 * @throws RangeError for an order that no card could hold.
 */
export function* personalise(order: PersonaliseOrder): Script<Personalised | Failure> {
  mustFit(order);
  const told = yield* keyVersions();
  if (!told.ok) return told;
  const [own] = told.versions;
  if (own === FACTORY_VERSION) return failure('key 0', 'not-prepared', 'not-executed', null);
  if (own !== order.version) return failure('key 0', 'other-version', 'not-executed', null);
  const set = yield* settle(order);
  if (!set.ok) return set;
  const written = yield* writeFiles(order);
  if (!written.ok) return written;
  const ours = yield* mustBeOurs(order);
  if (!ours.ok) return ours;
  const commits = yield* firstCommits(order);
  if (!commits.ok) return commits;
  const proven = yield* proveKeys(order);
  return proven.ok ? commits : proven;
}

function mustFit({ version, tmac, ceiling, statement, profile }: PersonaliseOrder): void {
  for (const one of [version, tmac.version]) mustBeVersion(one);
  // A drain's record must be able to name all that the purse can hold.
  if (!Number.isInteger(ceiling) || ceiling < 1 || ceiling >= 2 ** 28)
    throw new RangeError(`a ceiling of Rp ${ceiling}`);
  if (statement.length < 1 || statement.length > WRITE_MAX)
    throw new RangeError(`a statement of ${statement.length} bytes`);
  if (profile.length !== LIGHT.files.profile.size) throw new RangeError(`a profile of ${profile.length} bytes`);
}

/**
 * All that key 0 changes. The keys come first: with rights and ceiling set and key 3 still the factory's, whoever holds
 * the card could fill its purse.
 */
function* settle(order: PersonaliseOrder): Script<Answer | Failure> {
  const opened = yield* open(order, KEY_NO.app);
  if (!opened.ok) return opened;
  const { ring, journal, version: to } = order;
  const keys = yield* changeOthers(opened.session, { ring, journal, to });
  if (!keys.ok) return keys;
  if (order.chip === 'ev') return yield* makeFiles(keys.session, order);
  const counter = yield* setCounterFile(keys.session, order.tmac);
  if (!counter.ok) return counter;
  const rights = yield* setRights(counter.session);
  return rights.ok ? yield* setCeiling(rights.session, order.ceiling) : rights;
}

/** A standard file that a torn write may have left half written is written again until it reads as it should. */
function* writeFiles(order: PersonaliseOrder): Script<Answer | Failure> {
  const opened = yield* open(order, KEY_NO.credit);
  if (!opened.ok) return opened;
  const { statement, profile } = LIGHT.files;
  const first = yield* writeFile(opened.session, statement, order.statement);
  return first.ok ? yield* writeFile(first.session, profile, order.profile) : first;
}

type StandardFile = typeof LIGHT.files.statement | typeof LIGHT.files.profile;

function* writeFile(session: Session, file: StandardFile, content: Uint8Array): Script<Answer | Failure> {
  const place = { protection: file.mode, header: range(file.no, 0, content.length) } as const;
  const reading = { at: `read file ${file.no}`, command: commands.readData, replyLength: content.length };
  const now = yield* ask(session, { ...place, ...reading, otherwise: 'not-executed' });
  if (!now.ok || now.data.every((byte, at) => byte === content[at])) return now;
  const writing = { at: `write file ${file.no}`, command: commands.writeData, replyLength: 0 } as const;
  return yield* ask(now.session, { ...place, ...writing, data: content, otherwise: 'unknown' });
}

/** Before it is ready, a card holds no value, and no record but those of this order. */
function* mustBeOurs(order: PersonaliseOrder): Script<Answer | Failure> {
  const opened = yield* open(order, KEY_NO.debit);
  if (!opened.ok) return opened;
  const counter = yield* readCounter(opened.session);
  if (!counter.ok) return counter;
  const made = readLittle(counter.data, 0);
  const foreign = failure('first commits', 'in-use', 'not-executed', null);
  if (made > FIRST_COMMITS) return foreign;
  const balance = yield* ask(counter.session, { ...balanceQuestion, otherwise: 'not-executed' });
  if (!balance.ok) return balance;
  if (made < FIRST_COMMITS && readLittle(balance.data, 0) !== 0) return foreign;
  if (made === 0) return balance;
  const { no, mode, size } = LIGHT.files.records;
  const records = yield* ask(balance.session, {
    at: 'read records',
    command: commands.readRecords,
    protection: mode,
    header: range(no, 0, made),
    replyLength: made * size,
    otherwise: 'not-executed',
  });
  if (!records.ok) return records;
  const wanted = order.marks.slice(0, made).flatMap(({ record }) => [...record]);
  return records.data.every((byte, at) => byte === wanted[at]) ? records : foreign;
}

/** The first four records, so that reading four never fails; the counter tells how many are there. */
function* firstCommits(order: PersonaliseOrder): Script<Personalised | Failure> {
  const opened = yield* open(order, KEY_NO.debit);
  if (!opened.ok) return opened;
  const counter = yield* readCounter(opened.session);
  if (!counter.ok) return counter;
  const commits: FirstCommit[] = [];
  let { session } = counter;
  for (let tmc = readLittle(counter.data, 0); tmc < FIRST_COMMITS; tmc += 1) {
    const marks = order.marks[tmc];
    if (marks === undefined) throw new RangeError(`no marks for commit ${tmc}`);
    const marked = yield* mark(session, marks);
    if (!marked.ok) return marked;
    const certificate = yield* certify(marked.session, tmc);
    if (!certificate.ok) return certificate;
    commits.push({ tmc: certificate.tmc, tmv: certificate.tmv, encTmri: marked.data });
    session = certificate.session;
  }
  return { ok: true, commits };
}

/** Each key of the card, tried once: what was written is what is there. */
function* proveKeys(order: PersonaliseOrder): Script<Opened> {
  let opened = yield* open(order, KEY_NO.app);
  for (const no of [KEY_NO.debit, KEY_NO.spare2, KEY_NO.credit, KEY_NO.spare4]) {
    if (!opened.ok) return opened;
    opened = yield* open(order, no);
  }
  return opened;
}

/** Greeting: what a kiosk asks a card it has not met, before it may use it without the hub (TRUTH section 2). */
import { native, OK } from './apdu.ts';
import { commands, range } from './commands.ts';
import { KEY_NO, LIGHT } from './layout.ts';
import { authenticate, plain, selectOurs } from './opening.ts';
import { ask, type Failure, failure, type Script } from './script.ts';

export interface GreetOrder {
  /** Key 1 of this card under a version, 16 bytes; null if there is none. */
  readonly key1: (version: number) => Uint8Array | null;
  /** 16 random bytes, used once. */
  readonly rndA: Uint8Array;
  /** Length of the signed statement, at most 240 bytes. */
  readonly statement: number;
}

export interface Greeted {
  readonly ok: true;
  /** Version of key 1, which the card has proven to hold. */
  readonly keyVersion: number;
  readonly key1: Uint8Array;
  /** Content of file 00, under the card's MAC: the signature in it is the caller's to check. */
  readonly statement: Uint8Array;
}

const { profile, statement: file } = LIGHT.files;
const PROFILE_VERSION = 1;

/**
 * `Select · AD 1F · 71 key 1 · AF · AD 00`. The version in 1F is told without proof and only chooses the key to try.
 * The next Select clears what was read from the transaction.
 */
export function* greet({ key1, rndA, statement }: GreetOrder): Script<Greeted | Failure> {
  const selected = yield* selectOurs();
  if (!selected.ok) return selected;
  const told = yield* plain('read profile', native(commands.readData.ins, range(profile.no, 0, profile.size)), OK);
  if (!told.ok) return told;
  const [form, , keyVersion = 0] = told.data;
  const key = form === PROFILE_VERSION && told.data.length === profile.size ? key1(keyVersion) : null;
  if (key === null) return failure('read profile', 'other-version', 'not-executed', OK);
  const opened = yield* authenticate({ no: KEY_NO.debit, key }, rndA);
  if (!opened.ok) return opened;
  const read = yield* ask(opened.session, {
    at: 'read statement',
    command: commands.readData,
    protection: file.mode,
    header: range(file.no, 0, statement),
    replyLength: statement,
    otherwise: 'not-executed',
  });
  return read.ok ? { ok: true, keyVersion, key1: key, statement: read.data } : read;
}

/** Greeting: what a kiosk asks a card it has not met, before it may use it without the hub (TRUTH section 2). */
import { commands, range } from './commands.ts';
import { KEY_NO, LIGHT } from './layout.ts';
import { authenticate, keyVersion } from './opening.ts';
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

const { statement: file } = LIGHT.files;

/**
 * `Select · 64 1 · 71 key 1 · AF · AD 00`. The version is told without proof and only chooses the key to try. It is
 * asked of the key itself and not read from file 1F (as TRUTH section 2 has it): a roll-over that was torn leaves 1F
 * with another version than the key's. The next Select clears what was read from the transaction.
 */
export function* greet({ key1, rndA, statement }: GreetOrder): Script<Greeted | Failure> {
  const told = yield* keyVersion(KEY_NO.debit);
  if (!told.ok) return told;
  const key = key1(told.version);
  if (key === null) return failure('key version', 'other-version', 'not-executed', null);
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
  return read.ok ? { ok: true, keyVersion: told.version, key1: key, statement: read.data } : read;
}

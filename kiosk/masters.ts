/** The debit masters of a kiosk with the `offline` grant: sealed on its disk, opened by the hub's key in RAM only. */
import { createDecipheriv } from 'node:crypto';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { type Diversifier, diversification, diversifier } from '../cards/diversify.ts';
import { RETIRED_VERSION } from '../cards/keyring.ts';
import { KEY_NO } from '../cards/layout.ts';
import { type HelloAnswer, type HelloRequest, releaseContext } from '../protocol/hello.ts';
import type { KioskNo } from '../protocol/ids.ts';
import { DebitMasters, MasterBox, masterBoxContext } from '../protocol/masterbox.ts';
import { makeSealingKeys, open } from '../protocol/sealed.ts';
import { readIfThere, writePrivate } from './files.ts';

/** Where the sealed masters lie. */
export const boxPath = (dir: string): string => join(dir, 'debit-masters.json');

const boxCheck = Compile(MasterBox);
const mastersCheck = Compile(DebitMasters);
const TAG_BYTES = 16;
const RELEASE_BYTES = 32;

export interface Masters {
  /** What to ask the hub at a connect. */
  ask(): Promise<HelloRequest>;
  /**
   * Takes the hub's answer; a box in it is on the disk when this resolves.
   * @returns why not, in words for the log; null when the masters are open.
   * @throws the system's error if the disk refuses the box.
   */
  accept(answer: HelloAnswer): Promise<string | null>;
  /**
   * Key 1 of a card of this version, 16 bytes; null while the masters are closed, and for what is no version of a card
   * in use (1 to 254).
   */
  key1(uid: string, keyVersion: number): Uint8Array | null;
  /** The hub no longer grants them: they leave RAM; the box alone opens nothing. */
  forget(): void;
}

interface Row {
  readonly from: number;
  readonly derive: Diversifier;
}

function readBox(path: string): MasterBox | null {
  try {
    const value: unknown = JSON.parse(readIfThere(path) ?? 'null');
    return boxCheck.Check(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Opens a box under its release key, 32 bytes; null if it is not the one it was sealed under, for this kiosk. */
function openBox({ kiosk, version, nonce, sealed }: MasterBox, no: KioskNo, key: Uint8Array): Row[] | null {
  if (kiosk !== no) return null;
  const box = Buffer.from(sealed, 'base64');
  if (box.length <= TAG_BYTES) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'hex'), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(masterBoxContext(kiosk, version)));
  decipher.setAuthTag(box.subarray(-TAG_BYTES));
  try {
    const text = Buffer.concat([decipher.update(box.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8');
    const inside: unknown = JSON.parse(text);
    if (!mastersCheck.Check(inside)) return null;
    const rows = inside.masters.map(({ from, key: hex }) => ({ from, derive: diversifier(Buffer.from(hex, 'hex')) }));
    return rows.sort((a, b) => b.from - a.from);
  } catch {
    return null;
  }
}

/** Starts with the masters closed, whatever lies on the disk. @throws the system's error if the disk cannot be read. */
export function makeMasters(dir: string, kiosk: KioskNo): Masters {
  const path = boxPath(dir);
  let box = readBox(path);
  let rows: readonly Row[] = [];
  let answerKey: Uint8Array | null = null;
  return {
    async ask() {
      const { publicKey, privateKey } = await makeSealingKeys();
      answerKey = privateKey;
      return { key: Buffer.from(publicKey).toString('base64'), box: box?.kiosk === kiosk ? box.version : 0 };
    },
    async accept({ version, release, box: fresh }) {
      if (answerKey === null) return 'nothing was asked';
      const key = await open(answerKey, releaseContext(kiosk, version), Buffer.from(release, 'base64'));
      if (key?.length !== RELEASE_BYTES) return 'the release key is not sealed to what was asked';
      answerKey = null;
      const newest = fresh ?? box;
      if (newest?.version !== version) return `no box of version ${version}`;
      const opened = openBox(newest, kiosk, key);
      if (opened === null) return `the box of version ${version} does not open`;
      if (fresh !== null) writePrivate(path, `${JSON.stringify(fresh)}\n`);
      box = newest;
      rows = opened;
      return null;
    },
    key1(uid, keyVersion) {
      if (keyVersion < 1 || keyVersion >= RETIRED_VERSION) return null;
      const row = rows.find(({ from }) => from <= keyVersion);
      return row?.derive(diversification(Buffer.from(uid, 'hex'), KEY_NO.debit, keyVersion)) ?? null;
    },
    forget() {
      rows = [];
    },
  };
}

/** Looks for secrets in bytes, in every spelling, also in the memory of a process that runs. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** Secrets by name, 16 bytes or more. */
export type Secrets = ReadonlyMap<string, Uint8Array>;

const spellings: Readonly<Record<string, (secret: Buffer) => Buffer>> = {
  raw: (secret) => secret,
  hex: (secret) => Buffer.from(secret.toString('hex')),
  HEX: (secret) => Buffer.from(secret.toString('hex').toUpperCase()),
  // Without the end, which hangs on what follows; with its alphabet for addresses too.
  base64: (secret) => Buffer.from(secret.toString('base64').slice(0, 20)),
  base64url: (secret) => Buffer.from(secret.toString('base64url').slice(0, 20)),
  // As V8 holds a text with one wide letter in it.
  'wide hex': (secret) => Buffer.from(secret.toString('hex'), 'utf16le'),
};

interface Needle {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Finds many texts in one pass. */
export class Finder {
  /** By first two bytes. */
  readonly #needles = new Map<number, Needle[]>();
  readonly #first = new Uint8Array(65_536);
  /** Bytes that the longest spelling has. */
  readonly longest: number;

  constructor(secrets: Secrets) {
    let longest = 0;
    for (const [name, secret] of secrets) {
      for (const [how, spell] of Object.entries(spellings)) {
        const bytes = spell(Buffer.from(secret));
        const head = bytes.readUInt16BE(0);
        this.#first[head] = 1;
        this.#needles.set(head, [...(this.#needles.get(head) ?? []), { name: `${name}, ${how}`, bytes }]);
        longest = Math.max(longest, bytes.length);
      }
    }
    this.longest = longest;
  }

  /** Names of what lies in these bytes, each once. */
  in(text: Uint8Array): Set<string> {
    const found = new Set<string>();
    const first = this.#first;
    let head = text[0] ?? 0;
    for (let at = 0; at < text.length - 1; at += 1) {
      head = ((head & 0xff) << 8) | (text[at + 1] as number);
      if (first[head] === 0) continue;
      for (const { name, bytes } of this.#needles.get(head) ?? []) {
        if (bytes.equals(text.subarray(at, at + bytes.length))) found.add(name);
      }
    }
    return found;
  }
}

const CHUNK = 2 ** 22;

/** What is written anywhere in a process's memory: every page that it could have written to. */
export function inMemory(finder: Finder, pid: number): Set<string> {
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const chunk = Buffer.alloc(CHUNK + finder.longest);
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (from === undefined || to === undefined) continue;
    const end = Number.parseInt(to, 16);
    for (let at = Number.parseInt(from, 16); at < end; at += CHUNK) {
      const read = readSome(memory, chunk, at, Math.min(chunk.length, end - at));
      for (const name of finder.in(chunk.subarray(0, read))) found.add(name);
    }
  }
  closeSync(memory);
  return found;
}

/** A page that went away meanwhile holds nothing. */
function readSome(memory: number, chunk: Buffer, at: number, length: number): number {
  try {
    return readSync(memory, chunk, 0, length, at);
  } catch {
    return 0;
  }
}

/** What is written in any file below a folder. */
export function onDisk(finder: Finder, folder: string): Set<string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Set(files.flatMap(({ parentPath, name }) => [...finder.in(readFileSync(join(parentPath, name)))]));
}

/** A process and all that it started. */
export function family(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}

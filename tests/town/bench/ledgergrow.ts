/** Grows a ledger with its own engine to each size and leaves two copies there: for the engine and for raw commits. */
import { copyFileSync, renameSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, openEngine, type Work } from '../../../hub/store/sqlite/engine.ts';
import { firmOf, openStream, type SalesTown, type Stream, type StreamState, settling } from './sales.ts';

/** Most lines that a firm is given, the size its statement is asked at. */
const LINES = 10_000;
/** Works in one commit while growing. */
const BATCH = 512;
/** What is left free on the disk. */
const SPARE = 2 ** 30;

/** What the engine said to a stream. */
export interface Tally {
  approved: number;
  declined: number;
  duplicates: number;
}

/** A ledger at one size. */
export interface Grown {
  /** Entries, which are decisions with their rows, the opening ones included, once it is warm. */
  readonly size: number;
  readonly enginePath: string;
  readonly rawPath: string;
  readonly state: StreamState;
  readonly tally: Tally;
  /** From the last size to this one. */
  readonly seconds: number;
  readonly cpuUs: number;
  readonly grownBy: number;
  /** Of the file, all that it holds beside the openings taken over its entries. */
  readonly bytesPerEntry: number;
  /** Lines of this size's firm. */
  readonly lines: number;
}

export interface GrowOrder {
  readonly directory: string;
  readonly town: SalesTown;
  /** Rising. */
  readonly sizes: readonly number[];
  /** Entries that each file is still short of its size, to be posted before anything is measured. */
  readonly warm: number;
}

export const noTally = (): Tally => ({ approved: 0, declined: 0, duplicates: 0 });

/** Adds answers up. @throws on one that no sale of the stream may get. */
export function count(tally: Tally, answers: readonly Answer[]): void {
  for (const answer of answers) {
    if (answer.kind !== 'decided') throw new Error(`a sale was answered: ${JSON.stringify(answer)}`);
    if (answer.duplicate) tally.duplicates += 1;
    else if (answer.receipt.includes('"outcome":"approved"')) tally.approved += 1;
    else if (answer.receipt.includes('"reason":"insufficient-funds"')) tally.declined += 1;
    else throw new Error(`a sale was refused for another reason than was meant: ${answer.receipt}`);
  }
}

/** Opens the books of the town; @returns the number of entries that makes. */
function settle(path: string, { town, sizes }: GrowOrder): number {
  const { works, entries } = settling(town, sizes);
  const engine = openEngine({ path });
  for (let at = 0; at < works.length; at += BATCH) {
    const failed = engine
      .apply(works.slice(at, at + BATCH))
      .find((answer) => answer.kind !== 'done' && answer.kind !== 'decided');
    if (failed !== undefined) throw new Error(`the town was not settled: ${JSON.stringify(failed)}`);
    engine.tidy();
  }
  engine.close();
  return entries;
}

/** Posts town sales until so many were no repeats. */
function post(path: string, stream: Stream, sold: number, tally: Tally): void {
  const engine = openEngine({ path });
  try {
    while (stream.state.sold < sold) {
      const works: Work[] = [];
      while (works.length < BATCH && stream.state.sold < sold) works.push(stream.next('town'));
      count(tally, engine.apply(works));
      engine.tidy();
    }
  } finally {
    engine.close();
  }
}

/** @throws one clear line if the disk cannot hold what is to come. */
function mustHaveRoom(directory: string, need: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const [needed, free] = [need + SPARE, bavail * bsize].map((bytes) => `${(bytes / 2 ** 30).toFixed(1)} GiB`);
  if (bavail * bsize < need + SPARE)
    throw new Error(`${directory} has ${free} free and ${needed} are needed; set TMPDIR to a larger disk`);
}

/** Grows one file through all sizes. @param note is told how long each took. */
export function grow(order: GrowOrder, note: (line: string) => void): Grown[] {
  const { directory, town, sizes, warm } = order;
  const path = join(directory, 'growing.db');
  const openings = settle(path, order);
  const empty = statSync(path).size;
  const stream = openStream(town);
  const tally = noTally();
  const grown: Grown[] = [];
  // About what an entry takes; once a size is reached it is known.
  let bytesPerEntry = 2000;
  for (const [at, size] of sizes.entries()) {
    const last = at === sizes.length - 1;
    const { sold } = stream.state;
    const span = size - warm - openings - sold;
    if (span < 2) throw new Error(`a ledger of ${size} entries has no room for ${openings} openings and ${warm} more`);
    // While the last size is made its copy is not there yet; the others take two copies beside the growing file.
    mustHaveRoom(directory, (last ? 2 : 3) * size * bytesPerEntry);
    const lines = Math.min(LINES, Math.floor(span / 2));
    stream.state.firm = { member: firmOf(size), every: Math.floor(span / lines), left: lines };
    const cpu = process.cpuUsage();
    const from = performance.now();
    post(path, stream, sold + span, tally);
    const seconds = (performance.now() - from) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const bytes = statSync(path).size;
    bytesPerEntry = (bytes - empty) / stream.state.sold;
    const [enginePath, rawPath] = [join(directory, `engine-${size}.db`), join(directory, `raw-${size}.db`)];
    copyFileSync(path, rawPath);
    if (last) renameSync(path, enginePath);
    else copyFileSync(path, enginePath);
    note(`${size} entries: grown by ${span} in ${seconds.toFixed(1)} s, ${(bytes / 2 ** 20).toFixed(0)} MiB`);
    grown.push({
      size,
      enginePath,
      rawPath,
      state: structuredClone(stream.state),
      tally: { ...tally },
      seconds,
      cpuUs: (user + system) / span,
      grownBy: span,
      bytesPerEntry,
      lines,
    });
  }
  return grown;
}

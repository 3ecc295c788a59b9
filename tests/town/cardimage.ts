/** A card's memory as a file: what is in it after a process was killed is what the chip still holds. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { CardMemory } from './cardfiles.ts';

export interface CardImage {
  readonly memory: CardMemory;
  /** How often the card has answered 91AE: a key that was not its own. */
  readonly denied: number;
  /** Whether it left by the plan of its trouble. */
  readonly torn?: boolean;
}

type Spelled = { readonly bytes: string } | { readonly map: readonly [unknown, unknown][] };

function spelled(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') } satisfies Spelled;
  if (value instanceof Map) return { map: [...value] } satisfies Spelled;
  return value;
}

function read(_: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  const { bytes, map } = value as { bytes?: string; map?: [unknown, unknown][] };
  if (bytes !== undefined) return Uint8Array.from(Buffer.from(bytes, 'hex'));
  return map === undefined ? value : new Map(map);
}

/** Writes it whole or not at all. Must not be given Buffers, which spell themselves otherwise. */
export function writeImage(path: string, image: CardImage): void {
  writeFileSync(`${path}.new`, JSON.stringify(image, spelled));
  renameSync(`${path}.new`, path);
}

export const readImage = (path: string): CardImage => JSON.parse(readFileSync(path, 'utf8'), read) as CardImage;

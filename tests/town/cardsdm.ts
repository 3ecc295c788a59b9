/** Secure Dynamic Messaging: how a tag checks its settings, and what it mirrors (CARDS 7, NT4H2421Gx section 9.3). */
import { cmac, encrypt } from '../../cards/aes.ts';
import { STATUS } from './cardcore.ts';
import { concat, fromLsb, lsb, sealZeroIv, shortMac } from './cardcrypto.ts';
import type { CardMemory } from './cardfiles.ts';

/** Offsets count from the start of the file; null where ChangeFileSettings brings none. */
export interface Sdm {
  /** From SDMOptions on, as they were sent. */
  readonly wire: Uint8Array;
  readonly uid: boolean;
  readonly counter: boolean;
  readonly metaKey: number;
  readonly fileKey: number;
  readonly counterKey: number;
  readonly uidAt: number | null;
  readonly counterAt: number | null;
  readonly piccAt: number | null;
  readonly macFrom: number | null;
  readonly encAt: number | null;
  readonly encLength: number | null;
  readonly macAt: number | null;
  readonly limit: number | null;
}

const OPTION = { uid: 0x80, counter: 0x40, limit: 0x20, enc: 0x10, unused: 0x0e, ascii: 0x01 } as const;
const FREE = 0xe;
const NEVER = 0xf;
const UID_SIGNS = 14;
const COUNTER_SIGNS = 6;
const PICC_SIGNS = 32;
const MAC_SIGNS = 16;
/** The ASCII of one enciphered block. */
const ENC_STEP = 32;
const NOT_MIRRORED = 0xffffff;

/** Reads SDMOptions and all that follows. @returns null where their length is not what the options ask for */
function parse(wire: Uint8Array): Sdm | null {
  const [options = 0, first = 0, second = 0] = wire;
  const [metaKey, fileKey, counterKey] = [second >> 4, second & 0x0f, first & 0x0f];
  const has = (bit: number) => (options & bit) !== 0;
  let at = 3;
  const next = (applies: boolean): number | null => {
    if (!applies) return null;
    at += 3;
    return fromLsb(wire.subarray(at - 3, at));
  };
  const proves = fileKey !== NEVER;
  const sdm = {
    ...{ wire, metaKey, fileKey, counterKey, uid: has(OPTION.uid), counter: has(OPTION.counter) },
    uidAt: next(has(OPTION.uid) && metaKey === FREE),
    counterAt: next(has(OPTION.counter) && metaKey === FREE),
    piccAt: next(metaKey < FREE),
    macFrom: next(proves),
    encAt: next(proves && has(OPTION.enc)),
    encLength: next(proves && has(OPTION.enc)),
    macAt: next(proves),
    limit: next(has(OPTION.limit)),
  };
  if (at !== wire.length) return null;
  return { ...sdm, counterAt: sdm.counterAt === NOT_MIRRORED ? null : sdm.counterAt };
}

/** The rights and options that do not go together (NT4H2421Gx tables 69 and 71). */
function contradicts({ wire, uid, counter, metaKey, fileKey, counterKey, limit }: Sdm, keys: number, count: number) {
  const [options = 0, first = 0] = wire;
  const exists = (key: number, free: boolean) => key < keys || key === NEVER || (free && key === FREE);
  const enc = (options & OPTION.enc) !== 0;
  return (
    (options & OPTION.unused) !== 0 ||
    (options & OPTION.ascii) === 0 ||
    first >> 4 !== NEVER ||
    !exists(metaKey, true) ||
    !exists(fileKey, false) ||
    !exists(counterKey, true) ||
    (metaKey === NEVER ? uid : !uid && !counter) ||
    (counterKey !== NEVER && !counter) ||
    (enc && (fileKey === NEVER || !uid || !counter)) ||
    (limit !== null && (!counter || limit <= count))
  );
}

/** Whether a mirror lies outside the file or on another one. */
function misplaced({ uidAt, counterAt, piccAt, macFrom, encAt, encLength, macAt }: Sdm, size: number): boolean {
  const spans = [
    { at: uidAt, length: UID_SIGNS },
    { at: counterAt, length: COUNTER_SIGNS },
    { at: piccAt, length: PICC_SIGNS },
    { at: encAt, length: encLength ?? 0 },
    { at: macAt, length: MAC_SIGNS },
  ].flatMap(({ at, length }) => (at === null ? [] : [{ from: at, to: at + length }]));
  if (spans.some(({ to }) => to > size)) return true;
  if (spans.some((a, i) => spans.slice(i + 1).some((b) => a.from < b.to && b.from < a.to))) return true;
  if (macFrom === null || macAt === null) return false;
  if (macFrom > macAt) return true;
  if (encAt === null || encLength === null) return false;
  return encAt < macFrom || encAt + encLength > macAt || encLength < ENC_STEP || encLength % ENC_STEP !== 0;
}

/**
 * The settings that ChangeFileSettings brings, from SDMOptions on.
 * @param size bytes of the file. @param keys how many keys the application has. @param count the file's read counter
 * @returns them, or the second status byte of an error
 */
export function sdmFrom(wire: Uint8Array, size: number, keys: number, count: number): Sdm | number {
  const sdm = parse(wire);
  if (sdm === null) return STATUS.length;
  return contradicts(sdm, keys, count) || misplaced(sdm, size) ? STATUS.parameter : sdm;
}

/** Upper-case hex. */
const signs = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(Buffer.from(Buffer.from(bytes).toString('hex').toUpperCase(), 'latin1'));

/** What a reader without a session sees of the file: mirrors in the place of what was written there. */
export function mirrored(
  { uid, keys }: CardMemory,
  content: Uint8Array,
  sdm: Sdm,
  count: number,
  random: (length: number) => Uint8Array,
): Uint8Array {
  const seen = content.slice();
  const put = (at: number | null, bytes: Uint8Array) => {
    if (at !== null) seen.set(signs(bytes), at);
  };
  const keyOf = (no: number): Uint8Array => keys[no]?.key ?? new Uint8Array(16);
  const counter = lsb(count, 3);
  const about = concat(sdm.uid ? uid : [], sdm.counter ? counter : []);
  put(sdm.uidAt, uid);
  put(sdm.counterAt, counter.toReversed());
  if (sdm.piccAt !== null) {
    const tag = (sdm.uid ? OPTION.uid | uid.length : 0) | (sdm.counter ? OPTION.counter : 0);
    put(sdm.piccAt, sealZeroIv(keyOf(sdm.metaKey), concat([tag], about, random(15 - about.length))));
  }
  if (sdm.macFrom === null || sdm.macAt === null) return seen;
  const derive = (label: readonly [number, number]) =>
    cmac(keyOf(sdm.fileKey), concat(label, [0, 1, 0, 0x80], about, new Uint8Array(10 - about.length)));
  if (sdm.encAt !== null && sdm.encLength !== null) {
    const enc = derive([0xc3, 0x3c]);
    const iv = sealZeroIv(enc, concat(counter, new Uint8Array(13)));
    put(sdm.encAt, encrypt(enc, iv, content.slice(sdm.encAt, sdm.encAt + sdm.encLength / 2)));
  }
  put(sdm.macAt, shortMac(derive([0x3c, 0xc3]), seen.slice(sdm.macFrom, sdm.macAt)));
  return seen;
}

/** How the emulated card authenticates: AuthenticateEV2First, NonFirst, and their second half (CARDS section 3). */
import { answer, type Core, refuse, STATUS } from './cardcore.ts';
import { cardSessionKeys, concat, openZeroIv, same, sealZeroIv, turned } from './cardcrypto.ts';
import { countFailure, forgive, lockedOut } from './cardfailures.ts';
import { emptyTransaction } from './cardtransaction.ts';

const CAPABILITIES = 6;

/** First half: the card's enciphered challenge. */
export function challenge(core: Core, first: boolean, data: Uint8Array): Uint8Array {
  const { live, memory } = core;
  if (!first && live.session === null) return refuse(core, STATUS.authentication);
  const announced = first ? (data[1] ?? 0) : -1;
  if (data.length !== 2 + announced || announced > CAPABILITIES) return refuse(core, STATUS.length);
  if (!live.selected) return refuse(core, STATUS.noApplication);
  const keyNo = data[0] ?? 0;
  const key = memory.keys[keyNo];
  if (key === undefined) return refuse(core, STATUS.noKey);
  const locked = lockedOut(memory, key);
  if (locked !== null) return refuse(core, locked);
  // A card that went over to LRP speaks no AES any more, a DES key never did; the error byte is assumed.
  if (memory.lrp === true || key.des === true) return refuse(core, STATUS.authentication);
  const rndB = core.random(16);
  const capabilities = concat(data.subarray(2), new Uint8Array(CAPABILITIES)).slice(0, CAPABILITIES);
  // First begins anew; NonFirst keeps the open transaction, which is assumed (CARDS section 3.2).
  if (first) live.transaction = emptyTransaction();
  live.challenge = { keyNo, rndB, capabilities, carried: first ? null : live.session };
  live.session = null;
  return answer(sealZeroIv(key.key, rndB), STATUS.more);
}

/** Second half: the reader proves the key, then the card does. */
export function prove(core: Core, data: Uint8Array): Uint8Array {
  const { live, memory } = core;
  const tried = memory.keys[live.challenge?.keyNo ?? -1];
  if (live.challenge === null || tried === undefined) return refuse(core, STATUS.illegal);
  if (data.length !== 32) return refuse(core, STATUS.length);
  const { keyNo, rndB, capabilities, carried } = live.challenge;
  const { key } = tried;
  const plain = openZeroIv(key, data);
  if (!same(plain.subarray(16), turned(rndB))) {
    countFailure(memory, tried);
    return refuse(core, STATUS.authentication);
  }
  forgive(memory, tried);
  const rndA = plain.subarray(0, 16);
  const ti = carried?.ti ?? core.random(4);
  live.challenge = null;
  live.session = { keyNo, ...cardSessionKeys(key, rndA, rndB), ti, ctr: carried?.ctr ?? 0 };
  const proof = turned(rndA);
  const whole = carried === null ? concat(ti, proof, new Uint8Array(CAPABILITIES), capabilities) : proof;
  return answer(sealZeroIv(key, whole), STATUS.ok);
}

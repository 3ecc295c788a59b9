/** A reader of few lines, from CARDS alone: selects, proves a key, and protects commands that are given as hex. */
import { expect } from 'vitest';
import { bytes, hex } from '../cards/hex.ts';
import type { Card } from './card.ts';
import { cardSessionKeys, commandMac, concat, lsb, openZeroIv, sealZeroIv, shortMac, turned } from './cardcrypto.ts';

export const SELECT = bytes('00a4040c10a00000039656434103f015400000000b00');
export const SELECT_NTAG = bytes('00a4040c07d276000085010100');
export const FACTORY_KEY: Uint8Array = new Uint8Array(16);
export const NEW_KEY: Uint8Array = bytes('f3847d627727ed3bc9c4cc050489b966');
export const TMAC_KEY = bytes('f7d23e0c44afade542bfdf2dc5c6ae02');
/** Of the new key, with its version 01 before it, as AN12196 table 25 prints them. */
const NEW_KEY_TAIL = '01789dfadc';
/** The file's number, plain, 10 1F, an AES key (AN12343, pages 83 to 85). */
export const TMAC_HEADER = '0f00101f02';

type Send = (apdu: Uint8Array) => Uint8Array;
export interface Session {
  readonly send: Send;
  readonly keyNo: number;
  readonly enc: Uint8Array;
  readonly mac: Uint8Array;
  readonly ti: Uint8Array;
  ctr: number;
}

export const wrap = (ins: string, body = '') =>
  bytes(body === '' ? `90${ins}000000` : `90${ins}0000${(body.length / 2).toString(16).padStart(2, '0')}${body}00`);
export const plainly = (card: Card, ins: string, body = '') => hex(card.process(wrap(ins, body)));
export const xor = (a: Uint8Array, b: Uint8Array) => a.map((byte, i) => byte ^ (b[i] ?? 0));

/** Selects the application and proves a key (CARDS section 3.1). */
export function login(send: Send, keyNo: number, key = FACTORY_KEY, select = SELECT): Session {
  const rndA = new Uint8Array(16).fill(0x3c);
  send(select);
  const rndB = openZeroIv(key, send(wrap('71', `0${keyNo}00`)).slice(0, 16));
  const proof = send(wrap('af', hex(sealZeroIv(key, concat(rndA, turned(rndB))))));
  expect(hex(proof.slice(-2))).toBe('9100');
  const plain = openZeroIv(key, proof.slice(0, 32));
  expect(hex(plain.slice(4, 20))).toBe(hex(turned(rndA)));
  return { send, keyNo, ...cardSessionKeys(key, rndA, rndB), ti: plain.slice(0, 4), ctr: 0 };
}

export const open = (card: Card, keyNo = 0, key = FACTORY_KEY) => login((apdu) => card.process(apdu), keyNo, key);

export const openNtag = (card: Card, keyNo = 0, key = FACTORY_KEY) =>
  login((apdu) => card.process(apdu), keyNo, key, SELECT_NTAG);

/** Whether the card lets this key in. */
export function opens(card: Card, keyNo: number, key: Uint8Array, select = SELECT): boolean {
  card.process(select);
  const rndB = openZeroIv(key, card.process(wrap('71', `0${keyNo}00`)).slice(0, 16));
  return hex(card.process(wrap('af', hex(sealZeroIv(key, concat(new Uint8Array(16), turned(rndB))))))).endsWith('9100');
}

/** The vector that is mixed into the first block (CARDS section 3.4). */
const vector = (session: Session, label: string, ctr: number) =>
  sealZeroIv(session.enc, concat(bytes(label), session.ti, lsb(ctr, 2), new Uint8Array(8)));

/** Sends a command whose MAC is made here. @returns the reply, its MAC checked and taken off if there is one */
export function ask(session: Session, ins: string, body: string): string {
  const mac = commandMac(session, Number.parseInt(ins, 16), bytes(body));
  const reply = session.send(wrap(ins, body + hex(mac)));
  session.ctr += 1;
  if (reply.length < 10) return hex(reply);
  const [payload, tail] = [reply.slice(0, -10), reply.slice(-2)];
  const covered = concat(tail.subarray(1), lsb(session.ctr, 2), session.ti, payload);
  expect(hex(reply.slice(-10, -2))).toBe(hex(shortMac(session.mac, covered)));
  return hex(concat(payload, tail));
}

/** Sends a command in Full mode. @returns what the reply says in plain */
export function askFull(session: Session, ins: string, header: string, data = ''): string {
  const padded = concat(bytes(data), [0x80], new Uint8Array(15 - ((data.length / 2) % 16)));
  padded.set(xor(padded.slice(0, 16), vector(session, 'a55a', session.ctr)));
  const reply = bytes(ask(session, ins, header + (data === '' ? '' : hex(sealZeroIv(session.enc, padded)))));
  if (reply.length <= 2) return hex(reply);
  const plain = openZeroIv(session.enc, reply.slice(0, -2));
  plain.set(xor(plain.slice(0, 16), vector(session, '5aa5', session.ctr)));
  return hex(concat(plain.slice(0, plain.lastIndexOf(0x80)), reply.slice(-2)));
}

/** Data of ChangeKey for a key that is not the session's own. */
export const otherKey = (old = FACTORY_KEY) => hex(xor(NEW_KEY, old)) + NEW_KEY_TAIL;
/** Whether the card has forgotten the session: a live one would miss the MAC instead. */
export const deadSession = ({ send }: Session) => hex(send(wrap('51'))) === '91ae';

/** What a standard file holds. */
export const content = (card: Card, no: number): Uint8Array => {
  const file = card.memory.files.get(no);
  if (file?.kind !== 'standard') throw new Error(`file ${no} holds no plain data`);
  return file.content;
};

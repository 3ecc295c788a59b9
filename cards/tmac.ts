/** The Transaction MAC: a card's certificate over what was done in one transaction (CARDS section 4). */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { BLOCK, bare, cmac, double, truncate, xorInto } from './aes.ts';

/**
 * One command as the Transaction MAC covers it, with plain data as hex; numbers as the card takes them, in rupiah.
 * The INS is part of the certificate, therefore it is named as it was sent.
 */
export type CoveredCommand =
  | {
      readonly ins: 'AB';
      readonly file: number;
      readonly from: number;
      readonly count: number;
      readonly data: string;
    }
  | { readonly ins: '6C' | 'DC' | '0C'; readonly file: number; readonly value: number }
  | { readonly ins: '8B'; readonly file: number; readonly offset: number; readonly data: string }
  | { readonly ins: 'C8'; readonly tmri: string; readonly encTmri: string };

const codes = { AB: 0xab, '6C': 0x6c, DC: 0xdc, '0C': 0x0c, '8B': 0x8b, C8: 0xc8 } as const;
/** A value command and a reader id pair have fixed entries; commands with data have one block before the data. */
const VALUE_ENTRY = BLOCK;
const READER_ENTRY = 3 * BLOCK;

function entryLength(command: CoveredCommand): number {
  if (command.ins === 'C8') return READER_ENTRY;
  if (command.ins === 'AB' || command.ins === '8B') return BLOCK + Math.ceil(command.data.length / 2 / BLOCK) * BLOCK;
  return VALUE_ENTRY;
}

/** The transaction MAC input: one entry a command, each padded with zeros to whole blocks (CARDS section 4.2). */
export function transactionInput(commands: readonly CoveredCommand[]): Uint8Array {
  let length = 0;
  for (const command of commands) length += entryLength(command);
  const out = Buffer.allocUnsafe(length).fill(0);
  let at = 0;
  for (const command of commands) {
    out[at] = codes[command.ins];
    switch (command.ins) {
      case 'AB':
        out[at + 1] = command.file;
        out.writeUIntLE(command.from, at + 2, 3);
        out.writeUIntLE(command.count, at + 5, 3);
        out.write(command.data, at + BLOCK, 'hex');
        break;
      case '8B':
        out[at + 1] = command.file;
        out.writeUIntLE(command.offset, at + 2, 3);
        out.writeUIntLE(command.data.length / 2, at + 5, 3);
        out.write(command.data, at + BLOCK, 'hex');
        break;
      case 'C8':
        out.write(command.tmri, at + 1, 'hex');
        out.write(command.encTmri, at + 1 + BLOCK, 'hex');
        break;
      default:
        out[at + 1] = command.file;
        out.writeUInt32LE(command.value, at + 2);
    }
    at += entryLength(command);
  }
  return bare(out);
}

/** The keys of one transaction. */
export interface TransactionKeys {
  /** SesTMMACKey: certifies the transaction. */
  readonly macKey: Uint8Array;
  /** SesTMENCKey: hides the previous reader id. */
  readonly encKey: Uint8Array;
}

/**
 * Keys of the transaction that the card reported as `tmc`: the value is used as it is, not raised by one (CARDS
 * section 4.1).
 * @param uid 7 bytes, the real UID
 */
export function transactionKeys(tmacKey: Uint8Array, uid: Uint8Array, tmc: number): TransactionKeys {
  if (uid.length !== 7) throw new RangeError(`a UID has 7 bytes, not ${uid.length}`);
  // Each vector is one whole block, so both CMACs are one pass of a single ECB cipher: E(K, vector xor K1).
  const cipher = createCipheriv('aes-128-ecb', tmacKey, null);
  const k1 = double(cipher.update(new Uint8Array(BLOCK)));
  const vectors = new Uint8Array(2 * BLOCK);
  for (let at = 0; at < vectors.length; at += BLOCK) {
    vectors[at] = at === 0 ? 0x5a : 0xa5;
    vectors[at + 2] = 0x01;
    vectors[at + 4] = 0x80;
    vectors[at + 5] = tmc;
    vectors[at + 6] = tmc >>> 8;
    vectors[at + 7] = tmc >>> 16;
    vectors[at + 8] = tmc >>> 24;
    vectors.set(uid, at + 9);
    xorInto(vectors, k1, at);
  }
  const keys = bare(cipher.update(vectors));
  return { macKey: keys.subarray(0, BLOCK), encKey: keys.subarray(BLOCK) };
}

/** The certificate (TMV) over a transaction input, 8 bytes. */
export function tmv(keys: TransactionKeys, input: Uint8Array): Uint8Array {
  return truncate(cmac(keys.macKey, input));
}

/** Deciphers the reader id of the transaction before, as CommitReaderID returned it (CARDS section 4.4). */
export function previousTmri(keys: TransactionKeys, encTmri: Uint8Array): Uint8Array {
  if (encTmri.length !== BLOCK) throw new RangeError(`an enciphered reader id has 16 bytes, not ${encTmri.length}`);
  return bare(createDecipheriv('aes-128-ecb', keys.encKey, null).setAutoPadding(false).update(encTmri));
}

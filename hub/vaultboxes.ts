/** Boxes that the vault seals: witness keys for the registry, the debit masters for a kiosk's disk. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { hmac } from '../cards/hmac.ts';
import type { KioskNo } from '../protocol/ids.ts';
import { type DebitMasters, type MasterBox, masterBoxContext } from '../protocol/masterbox.ts';
import type { Vault } from './vault.ts';
import { type Contents, newestSecret } from './vaultcontents.ts';
import { newestVersion } from './vaultmasters.ts';

interface BoxDeps {
  readonly random: (bytes: number) => Uint8Array;
}

/** Wraps witness keys under the newest `wrap` secret; older ones still open. */
export function wrapping(deps: BoxDeps, contents: Contents): Pick<Vault, 'wrap' | 'unwrap'> {
  const keys = new Map(
    contents.secrets.filter((row) => row.purpose === 'wrap').map((row) => [row.version, Buffer.from(row.key, 'hex')]),
  );
  const newest = newestSecret(contents, 'wrap');
  // The registry hands out the same array as long as a kiosk's row stands, so its opened key lives as long as the row.
  const opened = new WeakMap<Uint8Array, Uint8Array>();
  return {
    wrap(key) {
      const nonce = deps.random(12);
      const cipher = createCipheriv('aes-256-gcm', newest.key, nonce);
      return Buffer.concat([Buffer.of(newest.version), nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
    },
    unwrap(box) {
      const known = opened.get(box);
      if (known !== undefined) return known;
      const key = keys.get(box[0] ?? 0);
      if (key === undefined || box.length < 29) return null;
      const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(1, 13));
      decipher.setAuthTag(box.subarray(box.length - 16));
      try {
        const plain = Buffer.concat([decipher.update(box.subarray(13, box.length - 16)), decipher.final()]);
        opened.set(box, plain);
        return plain;
      } catch {
        return null;
      }
    },
  };
}

const RELEASE_TEXT = Buffer.from('simpul-1 release key');

/**
 * Release keys and what they open. A box has the version of the newest debit master in it, so that a kiosk which tells
 * its box's version tells whether it knows all masters.
 */
export function releasing(deps: BoxDeps, contents: Contents): Pick<Vault, 'releaseKey' | 'sealDebitMasters'> {
  const secret = newestSecret(contents, 'release').key;
  const rows = contents.masters.filter(({ purpose }) => purpose === 'debit');
  const newest = newestVersion(rows);
  const releaseKey = (kiosk: KioskNo, version: number) => {
    const message = Buffer.alloc(RELEASE_TEXT.length + 5);
    message.set(RELEASE_TEXT);
    message.writeUInt32BE(kiosk, RELEASE_TEXT.length);
    message.writeUInt8(version, RELEASE_TEXT.length + 4);
    return hmac(secret, message);
  };
  return {
    releaseKey,
    sealDebitMasters(kiosk): MasterBox {
      const inside: DebitMasters = { v: 1, masters: rows.map(({ from, key }) => ({ from, key })) };
      const nonce = deps.random(12);
      const cipher = createCipheriv('aes-256-gcm', releaseKey(kiosk, newest), nonce);
      cipher.setAAD(Buffer.from(masterBoxContext(kiosk, newest)));
      const box = Buffer.concat([cipher.update(JSON.stringify(inside)), cipher.final(), cipher.getAuthTag()]);
      const sealed = box.toString('base64');
      return { v: 1, kiosk, version: newest, nonce: Buffer.from(nonce).toString('hex'), sealed };
    },
  };
}

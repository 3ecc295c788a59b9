/** Card keys in RAM: few, short-lived, and never tried a third time. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseRecord, parseTmri, proof } from '../../cards/record.ts';
import { makeCardKeys } from '../../kiosk/cardkeys.ts';
import { type CardKeyGrant, cardKeyContext } from '../../protocol/cardkey.ts';
import { makeSealingKeys, seal } from '../../protocol/sealed.ts';

const HOUR = 3_600_000;
const keys = await makeSealingKeys();
const witness = randomBytes(32);
const uidOf = (n: number) => `04${n.toString(16).padStart(12, '0')}`;

async function grantOf(uid: string, key: Uint8Array, context = cardKeyContext(uid, 1)): Promise<CardKeyGrant> {
  const sealed = Buffer.from(await seal(keys.publicKey, context, key)).toString('base64');
  return { uid, keyVersion: 1, tmacKeyVersion: 3, issuer: 'pasar', sealed };
}

function started() {
  const clock = { at: 0 };
  return { clock, cardKeys: makeCardKeys({ monotonic: () => clock.at, sealingKey: keys.privateKey, witness }) };
}

describe('card keys', () => {
  it('are held for a day by a clock that nobody can turn back', async () => {
    const { clock, cardKeys } = started();
    const key1 = randomBytes(16);
    expect(await cardKeys.accept(await grantOf(uidOf(1), key1))).toBe('held');
    expect(cardKeys.find(uidOf(1))).toMatchObject({ tmacKeyVersion: 3 });
    expect(Buffer.from(cardKeys.find(uidOf(1))?.key1 ?? []).equals(key1)).toBe(true);
    clock.at += 24 * HOUR;
    expect(cardKeys.find(uidOf(1))).toBeNull();
  });

  it('are held for 200 cards; the one not used for longest leaves', async () => {
    const { cardKeys } = started();
    for (let n = 0; n < 200; n++) await cardKeys.accept(await grantOf(uidOf(n), randomBytes(16)));
    cardKeys.find(uidOf(0));
    await cardKeys.accept(await grantOf(uidOf(200), randomBytes(16)));
    expect(cardKeys.find(uidOf(0))).not.toBeNull();
    expect(cardKeys.find(uidOf(1))).toBeNull();
  });

  it('sealed for another card, another kiosk or of another length are not taken', async () => {
    const { cardKeys } = started();
    expect(await cardKeys.accept(await grantOf(uidOf(1), randomBytes(16), cardKeyContext(uidOf(2), 1)))).toBe(
      'unsealed',
    );
    expect(await cardKeys.accept(await grantOf(uidOf(1), randomBytes(15)))).toBe('unsealed');
    const stranger = makeCardKeys({ monotonic: () => 0, sealingKey: (await makeSealingKeys()).privateKey, witness });
    expect(await stranger.accept(await grantOf(uidOf(1), randomBytes(16)))).toBe('unsealed');
  });

  it('that the card refused are not tried again, lest the card locks itself', async () => {
    const { cardKeys } = started();
    const grant = await grantOf(uidOf(1), randomBytes(16));
    await cardKeys.accept(grant);
    cardKeys.refuse(uidOf(1));
    expect(cardKeys.find(uidOf(1))).toBeNull();
    expect(await cardKeys.accept(grant)).toBe('stopped');
    expect(await cardKeys.accept(await grantOf(uidOf(1), randomBytes(16)))).toBe('held');
    cardKeys.refuse(uidOf(1));
    expect(cardKeys.stopped(uidOf(1))).toBe(true);
    expect(await cardKeys.accept(await grantOf(uidOf(1), randomBytes(16)))).toBe('stopped');
  });
});

describe('the kiosk’s signature on a deed', () => {
  it('is in the record and in the reader id, and names card, sale and beacon', () => {
    const { cardKeys } = started();
    const deed = { kind: 'account', amount: 25_000n, kioskNo: 7, kioskSeq: 9, minute: 123 } as const;
    const { record, tmri } = cardKeys.sign(uidOf(1), deed, 'deadbeef');
    const proven = proof(witness, Buffer.from(uidOf(1), 'hex'), deed, Buffer.from('deadbeef', 'hex'));
    expect(parseRecord(record)).toMatchObject(deed);
    expect(parseRecord(record)?.proof).toEqual(Uint8Array.from(proven.subarray(0, 3)));
    expect(parseTmri(tmri)?.proof).toEqual(Uint8Array.from(proven.subarray(0, 8)));
  });
});

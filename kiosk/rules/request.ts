/** The request for an account sale, built from what was journaled and what the card certified. */
import type { CardCommand, Claim } from '../../protocol/claim.ts';
import type { KioskNo } from '../../protocol/ids.ts';
import { toWire } from '../../protocol/money.ts';
import type { PurchaseRequest } from '../../protocol/purchase.ts';
import type { Intent } from './doubt.ts';
import type { Sale } from './sale.ts';

/** The certificate: the counter the transaction got, and its Transaction MAC (8 bytes as hex). */
export interface Certificate {
  readonly tmc: number;
  readonly tmv: string;
}

/** The list `AB 01 0 4 · 6C 03 · 8B 01 · C8` of TRUTH section 2, with the data of this transaction. */
function commandsOf(intent: Intent): CardCommand[] {
  return [
    { ins: 'AB', file: 1, from: 0, count: 4, data: intent.records },
    { ins: '6C', file: 3, value: intent.opening },
    { ins: '8B', file: 1, offset: 0, data: intent.record },
    { ins: 'C8', tmri: intent.tmri, encTmri: intent.encTmri },
  ];
}

function claimOf(intent: Intent, { tmc, tmv }: Certificate): Claim {
  const before = littleEndian(intent.tmc) + intent.tmv;
  return { uid: intent.uid, keyVersion: intent.keyVersion, tmc, tmv, commands: commandsOf(intent), before };
}

/** The counter as file 0F holds it: four bytes, lowest first, as hex. */
function littleEndian(tmc: number): string {
  return [0, 8, 16, 24].map((shift) => ((tmc >>> shift) & 0xff).toString(16).padStart(2, '0')).join('');
}

/** Fields in a fixed order: every retry is the same JSON text to the byte (TRUTH section 1). */
export function requestOf(kiosk: KioskNo, sale: Sale, intent: Intent, certificate: Certificate): PurchaseRequest {
  const amount = toWire(sale.amount);
  const request = { kiosk, seq: sale.seq, kind: sale.mode, amount, claim: claimOf(intent, certificate) };
  return sale.prices === null ? request : { ...request, tariff: sale.prices.book, price: toWire(sale.price) };
}

/** The town of ledger tests: two cooperatives, a member with a card, an outlet with a kiosk, and noon. */
import type { Account } from '../../../../hub/rules/accounts.ts';
import type { CardUid, CooperativeId, MemberId, OutletId } from '../../../../protocol/ids.ts';

export const A = 'pasar' as CooperativeId;
export const I = 'angkot' as CooperativeId;
export const OUTLET = 'lapak-12' as OutletId;
export const CARD = '04a1b2c3d4e5f6' as CardUid;
export const MEMBER = 'siti' as MemberId;
/** Noon in Jakarta. */
export const NOON = Date.parse('2026-11-24T12:00:00+07:00');
export const KIOSK = 7;

export const member = (owner: string = MEMBER): Account => ({ cooperative: I, kind: 'member', owner });
export const purse: Account = { cooperative: I, kind: 'purse', owner: CARD };
export const transit: Account = { cooperative: I, kind: 'in-transit', owner: CARD };
export const payout: Account = { cooperative: A, kind: 'payout', owner: OUTLET };

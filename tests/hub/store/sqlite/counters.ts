/** A counter of the ledger tests' town: cash as an engine is asked for it, and its books as a treasurer reads them. */
import { expect } from 'vitest';
import { type Account, accountName } from '../../../../hub/rules/accounts.ts';
import type { CashKind, Guard } from '../../../../hub/rules/entries.ts';
import { CASH_ORIGIN, HUB_ORIGIN } from '../../../../hub/store/ledger.ts';
import { auditFile } from '../../../../hub/store/sqlite/audit.ts';
import type { Engine, Work } from '../../../../hub/store/sqlite/engine.ts';
import { type CooperativeId, type MemberId, PLATFORM } from '../../../../protocol/ids.ts';
import { A, CARD, I, KIOSK, MEMBER, NOON, OUTLET } from './town.ts';
import { post, word } from './works.ts';

/** A hold waits until then. */
export const UNTIL = NOON + 180_000;

export const cashKey = (seq: number) => ({ origin: CASH_ORIGIN + KIOSK, seq });

export interface CashChanges {
  readonly amount?: bigint;
  /** The member's cooperative; the counter is of cooperative A. */
  readonly issuer?: CooperativeId;
  readonly owner?: string;
  readonly fee?: bigint;
  readonly at?: number;
  readonly hash?: string;
  /** Net debit cap of whoever comes to owe. */
  readonly cap?: bigint;
  /** Judged after the others. */
  readonly guards?: readonly Guard[];
}

function cash(kind: CashKind, seq: number, changes: CashChanges) {
  const { amount = 100_000n, issuer = I, owner = MEMBER, fee = issuer === A ? 0n : 1_500n, at = NOON } = changes;
  const shares = [
    { to: A, amount: (fee / 3n) * 2n },
    { to: PLATFORM, amount: fee - (fee / 3n) * 2n },
  ].filter((share) => share.amount > 0n);
  const figures = { issuer, member: owner as MemberId, acquirer: A, outlet: OUTLET, amount, fee, shares };
  const [owing, delta] = kind === 'deposit' ? [A, amount] : [issuer, -amount];
  const guards: Guard[] = [
    { kind: 'card-active', card: CARD },
    { kind: 'float', outlet: OUTLET, delta },
    { kind: 'cap', cooperative: owing, max: changes.cap ?? 10n ** 12n },
    ...(changes.guards ?? []),
  ];
  return {
    key: cashKey(seq),
    hash: changes.hash ?? seq.toString(16).padStart(32, kind === 'deposit' ? 'd' : 'c'),
    at,
    verdict: { approve: { kind, figures }, guards },
    slot: null,
    facts: { amount, card: CARD, issuer, acquirer: A, outlet: OUTLET },
    evidence: Uint8Array.of(seq & 255),
  };
}

export const deposit = (seq: number, changes: CashChanges = {}): Work => post(cash('deposit', seq, changes));
export const hold = (seq: number, changes: CashChanges = {}): Work => ({
  do: 'hold',
  request: cash('withdrawal', seq, changes),
  until: (changes.at ?? NOON) + UNTIL - NOON,
});
export const release = (seq: number, at = NOON): Work => ({ do: 'release', key: cashKey(seq), at, claim: '{}' });
export const settle = (seq: number, word: 'post' | 'void', officers: string | null = null, at = NOON): Work => ({
  do: 'settle',
  settlement: { key: cashKey(seq), word, at, officers },
});
export const expire = (at = UNTIL): Work => ({ do: 'expire', at });

let fundings = 2 ** 20;

/** Cash from the bank into the drawer, of which `prefunded` may be paid out. */
export function funding(amount: bigint, prefunded = amount): Work {
  fundings += 1;
  return post({
    key: { origin: HUB_ORIGIN, seq: fundings },
    hash: '',
    at: NOON,
    verdict: {
      approve: { kind: 'funding', figures: { cooperative: A, outlet: OUTLET, amount } },
      guards: [{ kind: 'float', outlet: OUTLET, delta: prefunded }],
    },
    slot: null,
    facts: { amount, card: null, issuer: null, acquirer: A, outlet: OUTLET },
    evidence: null,
  });
}

/** A member of the counter's own cooperative. */
export const OWN = 'budi';

/** Money of a member of A that lies at A's bank. */
export function ownOpening(amount: bigint): Work {
  fundings += 1;
  return post({
    key: { origin: HUB_ORIGIN, seq: fundings },
    hash: '',
    at: NOON,
    verdict: { approve: { kind: 'opening', figures: { cooperative: A, member: OWN as MemberId, amount } }, guards: [] },
    slot: null,
    facts: { amount, card: null, issuer: A, acquirer: null, outlet: null },
    evidence: null,
  });
}

const books: readonly Account[] = [
  { cooperative: I, kind: 'member', owner: MEMBER },
  { cooperative: A, kind: 'member', owner: OWN },
  { cooperative: A, kind: 'drawer', owner: OUTLET },
  { cooperative: A, kind: 'position', owner: I },
  { cooperative: A, kind: 'fee-income', owner: '-' },
  { cooperative: I, kind: 'position', owner: A },
  { cooperative: I, kind: 'position', owner: PLATFORM },
  { cooperative: I, kind: 'fee-expense', owner: '-' },
  { cooperative: PLATFORM, kind: 'position', owner: I },
  { cooperative: PLATFORM, kind: 'fee-income', owner: '-' },
];

/** The treasurer's page: each account that is not zero, and the counter's float. */
export function page(engine: Engine): Record<string, number> {
  const balances = engine.balances(books).map((balance, at): [string, number] => {
    const account = books[at];
    return [account === undefined ? '' : accountName(account), Number(balance)];
  });
  return Object.fromEntries([...balances, ['float', Number(engine.float(OUTLET))] as const].filter(([, sum]) => sum));
}

/** What an answer reads like: a decision, or the state of an open hold. */
export function said(answer: { readonly kind: string; readonly slip?: string } | undefined): string {
  return answer?.kind === 'open' ? (JSON.parse(answer.slip ?? '') as { state: string }).state : word(answer);
}

export const tell = (engine: Engine, ...batch: Work[]): string[] => engine.apply(batch).map(said);

/** The trial balance: in all, by cooperative, by pair, by account and entry. */
export function expectBalanced(path: string): void {
  const { total, cooperatives, brokenPairs, brokenAccounts, brokenEntries } = auditFile(path);
  expect([total, [...cooperatives.values()].filter((sum) => sum !== 0n)]).toEqual([0n, []]);
  expect([brokenPairs, brokenAccounts, brokenEntries]).toEqual([[], [], []]);
}

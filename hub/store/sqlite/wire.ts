/** Wire: work for the engine as JSON text between the threads, which costs a third of cloning its many small objects. */
import type { Account, AccountKind } from '../../rules/accounts.ts';
import type {
  Authority,
  Entry,
  EntryKind,
  FeeShare,
  Guard,
  Leg,
  ReceiptFacts,
  Slot,
  Verdict,
} from '../../rules/entries.ts';
import type { DecisionKey, PostRequest } from '../ledger.ts';
import type { Work } from './engine.ts';

// Rows without field names, amounts as decimal text: the order below is the format, and both ends are in this file.
type WireLegs = (string | AccountKind)[];
type WireGuard =
  | Exclude<Guard, { kind: 'day' | 'cap' }>
  | [card: string, amount: string, max: string]
  | [string, string];
type WireEntry = readonly [
  kind: EntryKind,
  authority: Authority,
  legs: WireLegs,
  payer: Account,
  fee: string,
  shares: string[],
  guards: WireGuard[],
];
type WirePost = readonly [
  key: DecisionKey,
  hash: string,
  at: number,
  verdict: WireEntry | Extract<Verdict, { refuse: unknown }>,
  slot: Slot | null,
  amount: string,
  facts: Omit<ReceiptFacts, 'amount'>,
  evidence: string | null,
];
type WireWork = { readonly post: WirePost } | Exclude<Work, { do: 'post' }>;

const LEG_FIELDS = 4;

function packGuard(guard: Guard): WireGuard {
  if (guard.kind === 'day') return [guard.card, String(guard.amount), String(guard.max)];
  return guard.kind === 'cap' ? [guard.cooperative, String(guard.max)] : guard;
}

function openGuard(guard: WireGuard): Guard {
  if (!Array.isArray(guard)) return guard;
  const [whose, amount, max] = guard;
  if (max === undefined) return { kind: 'cap', cooperative: whose as Account['cooperative'], max: BigInt(amount) };
  return { kind: 'day', card: whose as Slot['card'], amount: BigInt(amount), max: BigInt(max) };
}

function packEntry({ kind, authority, legs, payer, fee, shares }: Entry, guards: readonly Guard[]): WireEntry {
  const flat: WireLegs = [];
  for (const { account, amount } of legs) flat.push(account.cooperative, account.kind, account.owner, String(amount));
  const parts = shares.flatMap(({ to, amount }) => [to, String(amount)]);
  return [kind, authority, flat, payer, String(fee), parts, guards.map(packGuard)];
}

function openEntry([kind, authority, flat, payer, fee, parts, guards]: WireEntry): Verdict {
  const legs: Leg[] = [];
  for (let at = 0; at < flat.length; at += LEG_FIELDS) {
    const account = { cooperative: flat[at], kind: flat[at + 1], owner: flat[at + 2] } as Account;
    legs.push({ account, amount: BigInt(flat[at + 3] ?? '') });
  }
  const shares: FeeShare[] = [];
  for (let at = 0; at < parts.length; at += 2) {
    shares.push({ to: parts[at] as FeeShare['to'], amount: BigInt(parts[at + 1] ?? '') });
  }
  return { approve: { kind, authority, legs, payer, fee: BigInt(fee), shares }, guards: guards.map(openGuard) };
}

function packPost({ key, hash, at, verdict, slot, facts, evidence }: PostRequest): WirePost {
  const { amount, ...others } = facts;
  const bytes = evidence && Buffer.from(evidence.buffer, evidence.byteOffset, evidence.length).toString('base64');
  const word = 'approve' in verdict ? packEntry(verdict.approve, verdict.guards) : verdict;
  return [key, hash, at, word, slot, String(amount), others, bytes];
}

function openPost([key, hash, at, word, slot, amount, facts, bytes]: WirePost): PostRequest {
  const verdict = Array.isArray(word) ? openEntry(word as WireEntry) : (word as Extract<Verdict, { refuse: unknown }>);
  const evidence = bytes === null ? null : Buffer.from(bytes, 'base64');
  return { key, hash, at, verdict, slot, facts: { ...facts, amount: BigInt(amount) }, evidence };
}

/** Text of works for `openWorks`. */
export function packWorks(works: readonly Work[]): string {
  return JSON.stringify(works.map((work): WireWork => (work.do === 'post' ? { post: packPost(work.request) } : work)));
}

/** The works of a text that `packWorks` made. */
export function openWorks(text: string): Work[] {
  const works = JSON.parse(text) as WireWork[];
  return works.map((work): Work => ('post' in work ? { do: 'post', request: openPost(work.post) } : work));
}

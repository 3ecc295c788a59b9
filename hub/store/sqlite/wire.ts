/** Wire: work for the engine as JSON text between the threads, cheaper than cloning its many small objects. */
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
import type { PostRequest } from '../ledger.ts';
import type { Work } from './engine.ts';

// Rows without field names, amounts as numbers where those are exact. Both ends of the format are in this file.
/** A number, or decimal text beyond 2^53; between texts a name. */
type Amount = number | string;
type WireGuard =
  | readonly ['active', string]
  | readonly ['pause', string, number, number]
  | readonly ['day', string, Amount, Amount]
  | readonly ['cap', string, Amount];
type WireEntry = readonly [
  kind: EntryKind,
  authority: Authority,
  payer: readonly [string, AccountKind, string],
  fee: Amount,
  legs: readonly Amount[],
  shares: readonly Amount[],
  guards: readonly WireGuard[],
];
type Refused = Extract<Verdict, { refuse: unknown }>;
type WireFacts = readonly [
  amount: Amount,
  ReceiptFacts['card'],
  issuer: Party,
  acquirer: Party,
  ReceiptFacts['outlet'],
];
type Party = ReceiptFacts['issuer'];
type WirePost = readonly [
  origin: number,
  seq: number,
  hash: string,
  at: number,
  entry: WireEntry | null,
  refused: Refused | null,
  slot: readonly [Slot['card'], number, number] | null,
  facts: WireFacts,
  evidence: string | null,
];
/** A post is a row, anything else stays as it is. */
type WireWork = WirePost | Exclude<Work, { do: 'post' }>;

const LEG_FIELDS = 4;

function wired(amount: bigint): Amount {
  const number = Number(amount);
  return Number.isSafeInteger(number) ? number : String(amount);
}

function packGuard(guard: Guard): WireGuard {
  switch (guard.kind) {
    case 'card-active':
      return ['active', guard.card];
    case 'pause':
      return ['pause', guard.card, guard.kiosk, guard.seconds];
    case 'day':
      return ['day', guard.card, wired(guard.amount), wired(guard.max)];
    case 'cap':
      return ['cap', guard.cooperative, wired(guard.max)];
  }
}

function openGuard(guard: WireGuard): Guard {
  const card = guard[1] as Slot['card'];
  switch (guard[0]) {
    case 'active':
      return { kind: 'card-active', card };
    case 'pause':
      return { kind: 'pause', card, kiosk: guard[2], seconds: guard[3] };
    case 'day':
      return { kind: 'day', card, amount: BigInt(guard[2]), max: BigInt(guard[3]) };
    case 'cap':
      return { kind: 'cap', cooperative: guard[1] as Account['cooperative'], max: BigInt(guard[2]) };
  }
}

function packEntry({ kind, authority, legs, payer, fee, shares }: Entry, guards: readonly Guard[]): WireEntry {
  const flat: Amount[] = [];
  for (const { account, amount } of legs) flat.push(account.cooperative, account.kind, account.owner, wired(amount));
  const parts: Amount[] = [];
  for (const { to, amount } of shares) parts.push(to, wired(amount));
  const { cooperative, kind: of, owner } = payer;
  return [kind, authority, [cooperative, of, owner], wired(fee), flat, parts, guards.map(packGuard)];
}

const accountOf = (cooperative: Amount | undefined, kind: Amount | undefined, owner: Amount | undefined) =>
  ({ cooperative, kind, owner }) as Account;

function openEntry([kind, authority, payer, fee, flat, parts, guards]: WireEntry): Verdict {
  const legs: Leg[] = [];
  for (let at = 0; at < flat.length; at += LEG_FIELDS) {
    legs.push({ account: accountOf(flat[at], flat[at + 1], flat[at + 2]), amount: BigInt(flat[at + 3] ?? '') });
  }
  const shares: FeeShare[] = [];
  for (let at = 0; at < parts.length; at += 2) {
    shares.push({ to: parts[at] as FeeShare['to'], amount: BigInt(parts[at + 1] ?? '') });
  }
  const approve = { kind, authority, legs, payer: accountOf(...payer), fee: BigInt(fee), shares };
  return { approve, guards: guards.map(openGuard) };
}

function packPost({ key, hash, at, verdict, slot, facts, evidence }: PostRequest): WirePost {
  const entry = 'approve' in verdict ? packEntry(verdict.approve, verdict.guards) : null;
  const { amount, card, issuer, acquirer, outlet } = facts;
  return [
    key.origin,
    key.seq,
    hash,
    at,
    entry,
    'approve' in verdict ? null : verdict,
    slot && [slot.card, slot.keyVersion, slot.tmc],
    [wired(amount), card, issuer, acquirer, outlet],
    evidence && Buffer.from(evidence.buffer, evidence.byteOffset, evidence.length).toString('base64'),
  ];
}

function openVerdict(entry: WireEntry | null, refused: Refused | null): Verdict {
  if (entry !== null) return openEntry(entry);
  if (refused === null) throw new Error('a request without a verdict');
  return refused;
}

function openPost([origin, seq, hash, at, entry, refused, slot, facts, bytes]: WirePost): PostRequest {
  const [amount, card, issuer, acquirer, outlet] = facts;
  return {
    key: { origin, seq },
    hash,
    at,
    verdict: openVerdict(entry, refused),
    slot: slot && { card: slot[0], keyVersion: slot[1], tmc: slot[2] },
    facts: { amount: BigInt(amount), card, issuer, acquirer, outlet },
    evidence: bytes === null ? null : Buffer.from(bytes, 'base64'),
  };
}

const isPost = (work: WireWork): work is WirePost => Array.isArray(work);

/** Text of works for `openWorks`. */
export function packWorks(works: readonly Work[]): string {
  return JSON.stringify(works.map((work): WireWork => (work.do === 'post' ? packPost(work.request) : work)));
}

/** The works of a text that `packWorks` made. */
export function openWorks(text: string): Work[] {
  const works = JSON.parse(text) as WireWork[];
  return works.map((work): Work => (isPost(work) ? { do: 'post', request: openPost(work) } : work));
}

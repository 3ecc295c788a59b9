/** Office: enters a deed of two officers once under the hub's own numbers, with both names kept as its evidence. */
import { createHash } from 'node:crypto';
import type { Receipt } from '../../protocol/receipt.ts';
import type { Refusal } from '../../protocol/refusals.ts';
import type { OfficeDeed } from '../rules/office.ts';
import { type Ledger, OFFICE_ORIGIN } from '../store/ledger.ts';

export interface OfficeDeps {
  readonly ledger: Pick<Ledger, 'post' | 'standing'>;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

/** Who does it, and why. */
export interface OfficeWord {
  /** The officers' own name for the deed: with the same one it is entered once. */
  readonly id: string;
  readonly officers: readonly string[];
  readonly reason: string;
}

export type OfficeAnswer =
  | { readonly kind: 'entered'; readonly number: string; readonly amount: bigint; readonly before: boolean }
  | { readonly kind: 'refused'; readonly reason: Refusal }
  /** Another deed was entered under this name. */
  | { readonly kind: 'id-taken'; readonly number: string };

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** What was asked, without the sum where the books say it. */
function bodyOf({ instruction }: OfficeDeed, { officers, reason }: OfficeWord): string {
  const spelled = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value);
  const what = instruction.kind === 'purse-return' ? [instruction.kind, instruction.figures.card] : instruction;
  return JSON.stringify([what, officers, reason], spelled);
}

/**
 * Enters a deed under the next free number. The hash is in two halves, of its name and of what it says, so that the
 * same name finds what was entered, and a refused deed may be tried again. Meant for a hub that is stopped: the caller
 * is the only one who counts these numbers.
 */
export async function enter({ ledger, now }: OfficeDeps, deed: OfficeDeed, word: OfficeWord): Promise<OfficeAnswer> {
  const [name, said] = [digest(word.id), digest(bodyOf(deed, word))];
  const { cooperative, amount, instruction, guards, outlet, card } = deed;
  let seq = 1;
  for (let known = await ledger.standing({ origin: OFFICE_ORIGIN, seq }); known !== null; ) {
    const { hash, outcome, amount: moved } = JSON.parse(known.receipt) as Receipt;
    if (outcome === 'approved' && hash.startsWith(name)) {
      const number = `${OFFICE_ORIGIN}/${seq}`;
      if (hash !== name + said) return { kind: 'id-taken', number };
      return { kind: 'entered', number, amount: BigInt(moved), before: true };
    }
    seq += 1;
    known = await ledger.standing({ origin: OFFICE_ORIGIN, seq });
  }
  if (instruction.kind === 'purse-return' && amount === 0n) return { kind: 'refused', reason: 'purse-empty' };
  const posting = await ledger.post({
    key: { origin: OFFICE_ORIGIN, seq },
    hash: name + said,
    at: now(),
    verdict: { approve: instruction, guards },
    slot: null,
    facts: { amount, card, issuer: card === null ? null : cooperative, acquirer: cooperative, outlet },
    evidence: Buffer.from(JSON.stringify(word)),
  });
  if (posting.kind !== 'decided') throw new Error('another process counts the numbers of the office');
  const { outcome, reason, amount: moved } = JSON.parse(posting.receipt) as Receipt;
  if (outcome !== 'approved') return { kind: 'refused', reason: reason ?? 'cancelled' };
  return { kind: 'entered', number: `${OFFICE_ORIGIN}/${seq}`, amount: BigInt(moved), before: false };
}

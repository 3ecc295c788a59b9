/** `simpul-hub holds list | post | void | fund`: withdrawals that wait, and what two officers may do about a drawer. */
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { type Command, InvalidArgumentError } from 'commander';
import type { HoldSlip } from '../protocol/cash.ts';
import type { OutletId } from '../protocol/ids.ts';
import { spellRupiah } from '../protocol/money.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { hubPaths, readConfig } from './config.ts';
import { officersFault } from './officers.ts';
import { quoted } from './printable.ts';
import type { HoldInstruction } from './rules/entries.ts';
import { CASH_ORIGIN, type DecisionKey, type HoldAnswer, type Ledger, type Standing } from './store/ledger.ts';
import { holdAlone } from './store/sqlite/alone.ts';
import { readHolds, slipOf } from './store/sqlite/holds.ts';
import { openLedger } from './store/sqlite/ledger.ts';
import { openRegistry } from './store/sqlite/registry.ts';

export interface HoldCommandDeps {
  readonly say: (text: string) => void;
  /** Says what failed, and makes the exit code 1. */
  readonly fail: (error: string) => void;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

interface Flags {
  readonly data: string;
  readonly json?: boolean;
}

interface OfficerFlags extends Flags {
  readonly officer: readonly string[];
}

interface EndFlags extends OfficerFlags {
  readonly counted: bigint;
}

interface FundFlags extends OfficerFlags {
  readonly float?: bigint;
  readonly again?: boolean;
}

/** How long the same cash for the same drawer is taken for one funding that was asked for twice. */
const REPEAT_MS = 12 * 3_600_000;

/** A whole number of rupiah, digits only. */
export function amount(text: string): bigint {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('an amount is whole rupiah, digits only');
  return BigInt(text);
}

/** The pair that lists name a hold by: `kiosk/seq`. */
export function pairIn(text: string): { readonly no: number; readonly seq: number } {
  const [, kiosk, seq] = /^(\d{1,8})\/(\d{1,8})$/.exec(text) ?? [];
  const [no, count] = [Number(kiosk), Number(seq)];
  const fits = (value: number) => value >= 1 && value < 2 ** 24;
  if (!fits(no) || !fits(count)) throw new InvalidArgumentError('name it as holds list does: KIOSK/SEQ');
  return { no, seq: count };
}

/** A withdrawal as lists name it. */
function withdrawal(text: string): DecisionKey {
  const { no, seq } = pairIn(text);
  return { origin: CASH_ORIGIN + no, seq };
}

/** The paths of a data directory that holds a hub, or null after saying what is missing. */
export function pathsOf({ fail }: HoldCommandDeps, directory: string) {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  if (!read.ok) return fail(read.error);
  if (!existsSync(paths.ledger)) return fail(`${paths.ledger} is missing; run simpul-hub init, or restore it`);
  return paths;
}

/** Runs on the ledger of a hub that is stopped: only one may write there. */
export async function withLedger(
  deps: HoldCommandDeps,
  directory: string,
  run: (ledger: Ledger) => Promise<unknown>,
): Promise<void> {
  const paths = pathsOf(deps, directory);
  if (!paths) return;
  const letGo = holdAlone(paths.lock);
  if (letGo === null) return deps.fail(`a hub serves ${directory}; stop it first, and start it again afterwards`);
  try {
    const ledger = await openLedger({ path: paths.ledger });
    await run(ledger).finally(() => ledger.close());
  } finally {
    letGo();
  }
}

const minutes = (ms: number) => `${Math.floor(ms / 60_000)} min`;

type Listed = HoldSlip & { readonly kind: HoldInstruction['kind'] };

function spell({ kind, state, kiosk, seq, amount, at, outlet, acquirer, card, issuer }: Listed, now: number): string {
  const where = `${outlet} of ${acquirer}, ${card === null ? 'in cash' : `card ${card} of ${issuer}`}`;
  const name = `${kind === 'bill' ? 'bill ' : ''}${kiosk}/${seq}`;
  return `${name}  ${state}  ${spellRupiah(BigInt(amount))}  since ${minutes(now - at)}  ${where}`;
}

function list(deps: HoldCommandDeps, { data, json }: Flags): void {
  const paths = pathsOf(deps, data);
  if (!paths) return;
  const db = new Database(paths.ledger, { readonly: true, fileMustExist: true });
  try {
    const now = deps.now();
    const slips = readHolds(db).map((hold): Listed => ({ kind: hold.instruction.kind, ...slipOf(hold) }));
    for (const slip of slips) deps.say(json ? JSON.stringify({ ...slip, ageMs: now - slip.at }) : spell(slip, now));
    if (slips.length === 0 && !json) deps.say('No withdrawal or bill waits');
  } finally {
    db.close();
  }
}

/** What the books say of a hold's drawer, so that the officers see whether their count fits. */
async function drawerOf(ledger: Ledger, { acquirer, outlet }: HoldSlip): Promise<bigint> {
  const account = { cooperative: acquirer, kind: 'drawer', owner: outlet } as Parameters<Ledger['balances']>[0][0];
  const [balance = 0n] = await ledger.balances([account]);
  return -balance;
}

function spellEnd(name: string, answer: HoldAnswer): string | null {
  if (answer.kind !== 'decided') return null;
  const { outcome, amount } = JSON.parse(answer.receipt) as Receipt;
  const word = outcome === 'approved' ? `is booked: ${spellRupiah(BigInt(amount))} left the drawer` : 'is void';
  return `Withdrawal ${name} ${word}${answer.duplicate ? '; it had ended before, and that stands' : ''}`;
}

/** Whoever ended it may have lost the answer: what stands is said again, and that it is not what is asked for now. */
function endedBefore({ say, fail }: HoldCommandDeps, word: 'post' | 'void', name: string, known: Standing | null) {
  if (known === null || (known.kind !== null && known.kind !== 'withdrawal')) {
    return fail(`no withdrawal ${name} waits; simpul-hub holds list names those that do`);
  }
  const said = spellEnd(name, { kind: 'decided', receipt: known.receipt, duplicate: true, voided: false }) ?? '';
  return (known.kind === 'withdrawal') === (word === 'post') ? say(said) : fail(said);
}

async function end(deps: HoldCommandDeps, word: 'post' | 'void', key: DecisionKey, flags: EndFlags): Promise<void> {
  const { say, fail, now } = deps;
  const fault = officersFault(flags.officer);
  if (fault !== null) return fail(fault);
  const name = `${key.origin - CASH_ORIGIN}/${key.seq}`;
  await withLedger(deps, flags.data, async (ledger) => {
    const slip = await ledger.openHold(key);
    if (slip === null) return endedBefore(deps, word, name, await ledger.standing(key));
    const books = await drawerOf(ledger, JSON.parse(slip) as HoldSlip);
    const officers = JSON.stringify({ officers: flags.officer, counted: Number(flags.counted), books: Number(books) });
    say(`Counted ${spellRupiah(flags.counted)}; by the books the drawer held ${spellRupiah(books)} before this`);
    const said = spellEnd(name, await ledger.settle({ key, word, at: now(), officers }));
    if (said === null) return fail(`withdrawal ${name} could not be ended; simpul-hub doctor may say more`);
    say(said);
  });
}

/** Fundings stand under the hub's own number, counted from one: the next free one, and what the last one did. */
async function nextFunding({
  standing,
}: Ledger): Promise<{ readonly key: DecisionKey; readonly last: Receipt | null }> {
  let last: Receipt | null = null;
  for (let seq = 1; ; seq += 1) {
    const key = { origin: CASH_ORIGIN, seq };
    const known = await standing(key);
    if (known === null) return { key, last };
    last = JSON.parse(known.receipt) as Receipt;
  }
}

async function fund(deps: HoldCommandDeps, outletId: string, cash: bigint, flags: FundFlags): Promise<void> {
  const { say, fail, now } = deps;
  const { data, officer, float = cash, again } = flags;
  const fault = officersFault(officer);
  if (fault !== null) return fail(fault);
  if (cash === 0n || float > cash) return fail('the float is part of the cash, and the cash more than nothing');
  const paths = pathsOf(deps, data);
  if (!paths) return;
  const registry = openRegistry({ path: paths.registry });
  const outlet = registry.outlet(outletId as OutletId);
  registry.close();
  if (outlet === undefined) return fail(`outlet ${quoted(outletId)} is not registered; name one that is`);
  const { cooperative } = outlet;
  await withLedger(deps, data, async (ledger) => {
    const { key, last } = await nextFunding(ledger);
    // Who lost the answer asks again, and the cash would stand twice in the books of a drawer that got it once.
    const same = last?.outcome === 'approved' && last.outlet === outlet.id && BigInt(last.amount) === cash;
    if (same && !again && now() - last.at < REPEAT_MS) {
      return fail(`the same was booked ${minutes(now() - last.at)} ago; add --again if this is more cash`);
    }
    const posting = await ledger.post({
      key,
      hash: '',
      at: now(),
      verdict: {
        approve: { kind: 'funding', figures: { cooperative, outlet: outlet.id, amount: cash } },
        guards: [{ kind: 'float', outlet: outlet.id, delta: float }],
      },
      slot: null,
      facts: { amount: cash, card: null, issuer: null, acquirer: cooperative, outlet: outlet.id },
      evidence: Buffer.from(JSON.stringify({ officers: officer })),
    });
    if (posting.kind !== 'decided' || !posting.receipt.includes('"outcome":"approved"')) {
      return fail(`by the books ${cooperative} has less than ${spellRupiah(cash)} at its bank; nothing was moved`);
    }
    say(`${spellRupiah(cash)} went from the bank of ${cooperative} into the drawer of ${outlet.id}`);
    say(`Its float is now ${spellRupiah(await ledger.float(outlet.id))}`);
  });
}

export const data = ['-d, --data <dir>', 'data directory', './hub-data'] as const;
export const officer = ['--officer <name...>', 'the two officers, by name'] as const;

/** Adds the officers' commands for cash. */
export function addHoldCommands(root: Command, deps: HoldCommandDeps): void {
  const holds = root.command('holds').description('withdrawals that wait at counters, and the cash in drawers');
  holds
    .command('list')
    .description('every withdrawal and bill that is held or released, the oldest first')
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((flags: Flags) => list(deps, flags));
  const words = { post: 'the cash was handed out: book it', void: 'the cash is still in the drawer: give it up' };
  for (const word of ['post', 'void'] as const) {
    holds
      .command(word)
      .description(`after a count of the drawer by two officers, ${words[word]}; the hub must be stopped`)
      .argument('<withdrawal>', 'as holds list names it: KIOSK/SEQ', withdrawal)
      .requiredOption(...officer)
      .requiredOption('--counted <rupiah>', 'cash that they counted in the drawer', amount)
      .option(...data)
      .action((key: DecisionKey, flags: EndFlags) => end(deps, word, key, flags));
  }
  holds
    .command('fund')
    .description("put cash from the cooperative's bank account into a counter's drawer; the hub must be stopped")
    .argument('<outlet>', 'the counter')
    .argument('<rupiah>', 'cash put into the drawer', amount)
    .requiredOption(...officer)
    .option('--float <rupiah>', 'the part of it that may be paid out (default: all)', amount)
    .option('--again', 'although the same was booked last, within twelve hours')
    .option(...data)
    .action((outlet: string, cash: bigint, flags: FundFlags) => fund(deps, outlet, cash, flags));
}

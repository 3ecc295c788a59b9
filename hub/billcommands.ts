/** `simpul-hub bills post | void | prepay`: bills whose biller gives no word, and the deposit at a biller. */
import { type Command, InvalidArgumentError } from 'commander';
import type { HoldSlip } from '../protocol/cash.ts';
import type { CooperativeId } from '../protocol/ids.ts';
import { spellRupiah } from '../protocol/money.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { hubPaths, readConfig } from './config.ts';
import { amount, data, type HoldCommandDeps, officer, pairIn, withLedger } from './holdcommands.ts';
import { officersFault } from './officers.ts';
import { isPrintable, quoted } from './printable.ts';
import { bankOf, billerOf } from './rules/accounts.ts';
import { BILL_ORIGIN, type DecisionKey, type Ledger, OFFICE_ORIGIN } from './store/ledger.ts';

interface Flags {
  readonly data: string;
  readonly officer: readonly string[];
}

interface EndFlags extends Flags {
  readonly statement: string;
}

interface PrepayFlags extends Flags {
  readonly again?: boolean;
}

const STATEMENT_MAX = 200;
/** How long the same money for the same deposit is taken for one prepayment that was asked for twice. */
const REPEAT_MS = 12 * 3_600_000;

/** What the biller's statement says, in the officers' words. */
function statement(text: string): string {
  if (text.trim() === '' || text.length > STATEMENT_MAX || !isPrintable(text)) {
    throw new InvalidArgumentError(`it has 1 to ${STATEMENT_MAX} letters that can be printed`);
  }
  return text;
}

/** A bill as lists name it: `bill KIOSK/SEQ`, here without its first word. */
function bill(text: string): DecisionKey {
  const { no, seq } = pairIn(text);
  return { origin: BILL_ORIGIN + no, seq };
}

function spellEnd(name: string, receipt: string, cash: boolean): string {
  const { outcome, amount: sum } = JSON.parse(receipt) as Receipt;
  if (outcome === 'approved') return `Bill ${name} is booked: ${spellRupiah(BigInt(sum))}`;
  return `Bill ${name} is void; ${cash ? 'the cash goes back to the customer' : 'nothing left the account'}`;
}

async function end(deps: HoldCommandDeps, word: 'post' | 'void', key: DecisionKey, flags: EndFlags): Promise<void> {
  const { say, fail, now } = deps;
  const fault = officersFault(flags.officer);
  if (fault !== null) return fail(fault);
  const name = `${key.origin - BILL_ORIGIN}/${key.seq}`;
  await withLedger(deps, flags.data, async (ledger) => {
    const slip = await ledger.openHold(key);
    if (slip === null) {
      const known = await ledger.standing(key);
      if (known === null) return fail(`no bill ${name} waits; simpul-hub holds list names those that do`);
      const { card } = JSON.parse(known.receipt) as Receipt;
      const told = `${spellEnd(name, known.receipt, card === null)}; it had ended before, and that stands`;
      return (known.kind === 'bill') === (word === 'post') ? say(told) : fail(told);
    }
    const officers = JSON.stringify({ officers: flags.officer, statement: flags.statement });
    const answer = await ledger.settle({ key, word, at: now(), officers });
    if (answer.kind !== 'decided') return fail(`bill ${name} could not be ended; simpul-hub doctor may say more`);
    say(spellEnd(name, answer.receipt, (JSON.parse(slip) as HoldSlip).card === null));
  });
}

/** The next free number of two officers at the hub itself, and what the last one did. */
export async function nextDeed({
  standing,
}: Ledger): Promise<{ readonly key: DecisionKey; readonly last: Receipt | null }> {
  let last: Receipt | null = null;
  for (let seq = 1; ; seq += 1) {
    const key = { origin: OFFICE_ORIGIN, seq };
    const known = await standing(key);
    if (known === null) return { key, last };
    last = JSON.parse(known.receipt) as Receipt;
  }
}

async function prepay(deps: HoldCommandDeps, id: string, sum: bigint, flags: PrepayFlags): Promise<void> {
  const { say, fail, now } = deps;
  const fault = officersFault(flags.officer);
  if (fault !== null) return fail(fault);
  if (sum === 0n) return fail('a deposit is more than nothing');
  const read = readConfig(hubPaths(flags.data));
  if (!read.ok) return fail(read.error);
  const settings = read.config.billers?.find((biller) => biller.id === id);
  if (settings === undefined) return fail(`hub.json lists no biller ${quoted(id)}; name one that it does`);
  const cooperative = settings.cooperative as CooperativeId;
  await withLedger(deps, flags.data, async (ledger) => {
    const { key, last } = await nextDeed(ledger);
    const same = last?.outcome === 'approved' && last.acquirer === cooperative && BigInt(last.amount) === sum;
    if (same && !flags.again && now() - last.at < REPEAT_MS) {
      return fail('the same was booked within twelve hours; add --again if this is more money');
    }
    const deposit = billerOf(cooperative, id);
    const figures = { debit: deposit, credit: bankOf(cooperative), amount: sum, reason: `deposit at ${id}` };
    const posting = await ledger.post({
      key,
      hash: '',
      at: now(),
      verdict: { approve: { kind: 'provision', figures }, guards: [] },
      slot: null,
      facts: { amount: sum, card: null, issuer: null, acquirer: cooperative, outlet: null },
      evidence: Buffer.from(JSON.stringify({ officers: flags.officer })),
    });
    if (posting.kind !== 'decided' || !posting.receipt.includes('"outcome":"approved"')) {
      return fail(`by the books ${cooperative} has less than ${spellRupiah(sum)} at its bank; nothing was moved`);
    }
    const [balance = 0n] = await ledger.balances([deposit]);
    say(
      `${spellRupiah(sum)} went from the bank of ${cooperative} to ${id}; its deposit is now ${spellRupiah(-balance)}`,
    );
  });
}

/** Adds the officers' commands for bills. */
export function addBillCommands(root: Command, deps: HoldCommandDeps): void {
  const bills = root.command('bills').description('bills whose biller gives no word, and deposits at billers');
  const words = { post: 'the biller was paid: book it', void: 'the biller was not paid and will not be: give it up' };
  for (const word of ['post', 'void'] as const) {
    bills
      .command(word)
      .description(`by the biller's statement, ${words[word]}; the hub must be stopped`)
      .argument('<bill>', 'as holds list names it: KIOSK/SEQ', bill)
      .requiredOption(...officer)
      .requiredOption('--statement <text>', "what the biller's statement says of it", statement)
      .option(...data)
      .action((key: DecisionKey, flags: EndFlags) => end(deps, word, key, flags));
  }
  bills
    .command('prepay')
    .description("put money from the cooperative's bank account into its deposit at a biller; the hub must be stopped")
    .argument('<biller>', 'as hub.json names it')
    .argument('<rupiah>', 'what was paid in', amount)
    .requiredOption(...officer)
    .option('--again', 'the same sum for the same cooperative once more, within twelve hours')
    .option(...data)
    .action((biller: string, sum: bigint, flags: PrepayFlags) => prepay(deps, biller, sum, flags));
}

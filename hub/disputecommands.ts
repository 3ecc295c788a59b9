/** `simpul-hub disputes list | open | won | lost`: payments in dispute, and what a cooperative decides. */
import Database from 'better-sqlite3';
import { type Command, InvalidArgumentError } from 'commander';
import { businessDate } from '../protocol/dates.ts';
import type { CooperativeId } from '../protocol/ids.ts';
import { spellRupiah } from '../protocol/money.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { refusals } from '../protocol/refusals.ts';
import { hubPaths, readConfig } from './config.ts';
import { amount, type HoldCommandDeps, pathsOf, withLedger } from './holdcommands.ts';
import {
  DISPUTE_DAYS,
  type DisputeAnswer,
  type DisputeDeps,
  decideDispute,
  openDispute,
} from './operations/dispute.ts';
import { printable } from './printable.ts';
import type { DisputeNote } from './store/disputenotes.ts';
import type { DecisionKey, OpenDispute } from './store/ledger.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import { readDisputes } from './store/sqlite/returned.ts';

interface Flags {
  readonly data: string;
  readonly json?: boolean;
}

interface StepFlags extends Flags {
  readonly issuer: string;
  readonly officer: readonly string[];
  readonly reason: string;
  readonly evidence?: readonly string[];
}

interface OpenFlags extends StepFlags {
  readonly amount: bigint;
  readonly credit?: bigint;
}

/** A payment as its receipt names it: `kiosk/seq`. */
function payment(text: string): DecisionKey {
  const [, kiosk, seq] = /^(\d{1,8})\/(\d{1,8})$/.exec(text) ?? [];
  const [origin, count] = [Number(kiosk), Number(seq)];
  const fits = (value: number) => value >= 1 && value < 2 ** 24;
  if (!fits(origin) || !fits(count)) throw new InvalidArgumentError('name it as its receipt does: KIOSK/SEQ');
  return { origin, seq: count };
}

interface Known {
  readonly number: string;
  readonly disputed: number;
  /** In the member's hand until it is decided. */
  readonly provisional: number;
  readonly refunded: number;
  readonly until: number;
  readonly issuer: string;
  readonly member: string;
  readonly sale: Pick<Receipt, 'amount' | 'date' | 'card' | 'acquirer' | 'outlet'>;
  readonly notes: readonly DisputeNote[];
}

function knownOf(dispute: OpenDispute, notesOf: (payment: string) => readonly DisputeNote[]): Known {
  const { key, member, disputed, provisional, refunded, until, receipt } = dispute;
  const number = `${key.origin}/${key.seq}`;
  const { amount, date, card, acquirer, outlet } = JSON.parse(receipt) as Receipt;
  const sums = { disputed: Number(disputed), provisional: Number(provisional), refunded: Number(refunded) };
  const sale = { amount, date, card, acquirer, outlet };
  return { number, ...sums, until, issuer: member.cooperative, member: member.owner, sale, notes: notesOf(number) };
}

const rupiahOf = (sum: number) => spellRupiah(BigInt(sum));

function spell({ number, disputed, provisional, refunded, until, issuer, member, sale, notes }: Known): string[] {
  const sums = `disputed ${rupiahOf(disputed)}, at once ${rupiahOf(provisional)}, refunded ${rupiahOf(refunded)}`;
  const where = `${rupiahOf(sale.amount)} on ${sale.date} at ${sale.outlet} of ${sale.acquirer}`;
  return [
    `${number}  until ${businessDate(until)}  ${sums}  ${where}, member ${member} of ${issuer}`,
    ...notes.map(({ step, by, reason, evidence }) => {
      const shown = evidence.length > 0 ? ` (${evidence.map(printable).join('; ')})` : '';
      return `    ${step} by ${by.map(printable).join(' and ')}: ${printable(reason)}${shown}`;
    }),
  ];
}

function list(deps: HoldCommandDeps, { data, json }: Flags): void {
  const paths = pathsOf(deps, data);
  if (!paths) return;
  const db = new Database(paths.ledger, { readonly: true, fileMustExist: true });
  const registry = openRegistry({ path: paths.registry });
  try {
    const open = readDisputes(db).map((dispute) => knownOf(dispute, registry.disputeNotes));
    for (const known of open) for (const line of json ? [JSON.stringify(known)] : spell(known)) deps.say(line);
    if (open.length === 0 && !json) deps.say('No payment is in dispute');
  } finally {
    registry.close();
    db.close();
  }
}

type Ask = (deps: DisputeDeps) => Promise<DisputeAnswer>;

/** Asks on the books of a hub that is stopped, and says what is promised or why not. */
async function ask(
  deps: HoldCommandDeps,
  data: string,
  step: Ask,
  done: (answer: DisputeAnswer & { ok: true }) => string,
) {
  const { say, fail, now } = deps;
  const paths = pathsOf(deps, data);
  if (!paths) return;
  await withLedger(deps, data, async (ledger) => {
    const registry = openRegistry({ path: paths.registry });
    try {
      const answer = await step({ ledger, registry, now });
      if (answer.ok) say(done(answer));
      else fail(`${refusals[answer.refuse].en}: ${answer.detail}; ${refusals[answer.refuse].teller}`);
    } finally {
      registry.close();
    }
  });
}

function open(deps: HoldCommandDeps, key: DecisionKey, flags: OpenFlags): Promise<void> {
  const { data, issuer, officer, reason, evidence = [], amount: sum, credit = sum } = flags;
  const read = readConfig(hubPaths(data));
  const days = (read.ok ? read.config.disputeDays : undefined) ?? DISPUTE_DAYS;
  const by = { officer: officer.join(' and '), cooperative: issuer as CooperativeId };
  const asked = { payment: key, by, amount: sum, provisional: credit, days, reason, evidence };
  return ask(
    deps,
    data,
    (on) => openDispute(on, asked),
    ({ number, amount: taken, until }) => {
      const promised = until === null ? 'it has been decided' : `promised until ${businessDate(until)}`;
      return `Payment ${number} is in dispute over ${spellRupiah(taken)}; ${promised}`;
    },
  );
}

function decide(deps: HoldCommandDeps, word: 'won' | 'lost', key: DecisionKey, flags: StepFlags): Promise<void> {
  const { data, issuer, officer, reason, evidence = [] } = flags;
  const ruling = { payment: key, word, cooperative: issuer as CooperativeId, officers: officer, reason, evidence };
  const words = { won: 'the member keeps the money, and the outlet gives it back', lost: 'the payment stands' };
  return ask(
    deps,
    data,
    (on) => decideDispute(on, ruling),
    ({ number, amount: about }) => `The dispute of ${number} over ${spellRupiah(about)} is ${word}: ${words[word]}`,
  );
}

const data = ['-d, --data <dir>', 'data directory', './hub-data'] as const;
const issuer = ['--issuer <cooperative>', 'cooperative of the card, whose officers they are'] as const;
const reason = ['--reason <text>', 'why, in at most 500 characters'] as const;
const evidence = ['--evidence <reference...>', 'what is kept elsewhere: a letter, a photo, a witness'] as const;

/** Adds the officers' commands for disputed payments. */
export function addDisputeCommands(root: Command, deps: HoldCommandDeps): void {
  const disputes = root.command('disputes').description('payments that members dispute');
  disputes
    .command('list')
    .description('every open dispute with what is known of it, the one due first first')
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((flags: Flags) => list(deps, flags));
  disputes
    .command('open')
    .description('take up that a payment was not right; the hub must be stopped')
    .argument('<payment>', 'as its receipt names it: KIOSK/SEQ', payment)
    .requiredOption(...issuer)
    .requiredOption('--officer <name...>', 'who takes it up')
    .requiredOption('--amount <rupiah>', 'what is disputed', amount)
    .requiredOption(...reason)
    .option('--credit <rupiah>', 'what the member gets at once (default: all of it)', amount)
    .option(...evidence)
    .option(...data)
    .action((key: DecisionKey, flags: OpenFlags) => open(deps, key, flags));
  for (const word of ['won', 'lost'] as const) {
    disputes
      .command(word)
      .description(`decide that the member has ${word} it; two officers, and the hub must be stopped`)
      .argument('<payment>', 'as disputes list names it: KIOSK/SEQ', payment)
      .requiredOption(...issuer)
      .requiredOption('--officer <name...>', 'the two officers, by name')
      .requiredOption(...reason)
      .option(...evidence)
      .option(...data)
      .action((key: DecisionKey, flags: StepFlags) => decide(deps, word, key, flags));
  }
}

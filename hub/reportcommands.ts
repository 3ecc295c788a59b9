/** `simpul-hub report float | cash | retention`: what cooperatives must be able to show; changes nothing. */
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { businessDate } from '../protocol/dates.ts';
import { type CooperativeId, PLATFORM } from '../protocol/ids.ts';
import { spellRupiah, toWire } from '../protocol/money.ts';
import { hubPaths, readConfig } from './config.ts';
import { writeCsvRecord } from './csv.ts';
import { printable } from './printable.ts';
import { type CashLine, cashLines } from './rules/cashreport.ts';
import { type FloatReport, floatOf } from './rules/float.ts';
import { type Aged, type Cutoff, openReports, type Reports } from './store/sqlite/reports.ts';

export interface ReportCommandDeps {
  readonly say: (text: string) => void;
  /** Says what failed or does not hold, and makes the exit code 1. */
  readonly fail: (error: string) => void;
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number;
}

interface Flags {
  readonly data: string;
  readonly json?: boolean;
}

interface CashFlags extends Flags {
  readonly month: string;
  readonly csv?: boolean;
}

function withReports({ fail }: ReportCommandDeps, directory: string, run: (reports: Reports) => void) {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  if (!read.ok) return fail(read.error);
  const missing = [paths.ledger, paths.registry].find((path) => !existsSync(path));
  if (missing !== undefined) return fail(`${missing} is missing; run simpul-hub init, or restore it`);
  const reports = openReports(paths);
  try {
    run(reports);
  } finally {
    reports.close();
  }
}

/** The cooperatives with members: all but the hub's own books. */
const members = ({ cooperatives }: Reports) => cooperatives.filter(({ id }) => id !== PLATFORM);

/** JSON with amounts as whole rupiah. */
const write = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) => (typeof part === 'bigint' ? toWire(part) : part));

const FLOAT_LINES: readonly (readonly [string, keyof Omit<FloatReport, 'covered'>])[] = [
  ["members' balances", 'members'],
  ['purses of cards', 'purses'],
  ['on the way to cards', 'transit'],
  ['takings of outlets', 'payouts'],
  ['held for others', 'owed'],
  ['customers hold', 'held'],
  ['at the bank', 'bank'],
  ['cash in drawers', 'drawers'],
  ['other assets', 'assets'],
  ['due from others until settlement', 'position'],
  ['covered by', 'covering'],
];

function spellFloat(name: string, report: FloatReport, required: boolean): string {
  const lines = FLOAT_LINES.map(([what, part]) => `  ${what.padEnd(34)}${spellRupiah(report[part]).padStart(24)}`);
  const { covered, difference } = report;
  const word = covered
    ? `covered, ${spellRupiah(difference)} over`
    : `NOT COVERED, ${spellRupiah(-difference)} missing`;
  return [`${printable(name)}${required ? '' : ' (no float report asked for)'}`, ...lines, `  ${word}`].join('\n');
}

function float(deps: ReportCommandDeps, { json }: Flags, reports: Reports) {
  const sums = reports.sums();
  const at = deps.now();
  const rows = members(reports).map(({ id, name }) => {
    const report = floatOf(sums.get(id) ?? []);
    return { cooperative: id, name, required: reports.licence(id).floatReport, report };
  });
  if (json) {
    deps.say(write({ at, cooperatives: rows.map(({ report, ...rest }) => ({ ...rest, ...report })) }));
  } else deps.say(rows.map(({ name, report, required }) => spellFloat(name, report, required)).join('\n\n'));
  const short = rows.filter(({ report }) => !report.covered).map(({ cooperative }) => cooperative);
  if (short.length === 0) return;
  deps.fail(`not covered: ${short.join(', ')}; what is missing has to come from the cooperative's own capital`);
}

function month(text: string): string {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(text)) throw new InvalidArgumentError('a month is written YYYY-MM');
  return text;
}

const CASH_HEADER = ['report of', 'date', 'cooperative', 'account', 'name', 'direction', 'movements', 'rupiah', 'mark'];
const WAYS = { in: 'deposit', out: 'withdrawal' } as const;

type NamedLine = CashLine & { readonly name: string };

const fieldsOf = ({ cooperative, date, home, person, name, direction, movements, sum, mark }: NamedLine): string[] => {
  return [cooperative, date, home, person, printable(name), WAYS[direction], `${movements}`, `${sum}`, mark];
};

function spellCash(line: NamedLine): string {
  const { cooperative, date, home, person, name, direction, movements, sum, mark } = line;
  const who = `${printable(name)} (${person} of ${home})`;
  return `${date}  ${cooperative}  ${who}  ${WAYS[direction]} ${spellRupiah(sum)} in ${movements}  ${mark}`;
}

function cash({ say }: ReportCommandDeps, flags: CashFlags, reports: Reports) {
  const movements = reports.cash(`${flags.month}-01`, `${flags.month}-31`);
  const lines = cashLines(movements, reports.licence).map((line): NamedLine => {
    return { ...line, name: reports.nameOf(line.home, line.person) };
  });
  if (flags.json) return say(write({ month: flags.month, movements: movements.length, lines }));
  if (flags.csv) return void process.stdout.write([CASH_HEADER, ...lines.map(fieldsOf)].map(record).join(''));
  const none = `Of ${movements.length} movements of cash in ${flags.month} none reaches a mark`;
  say(lines.length === 0 ? none : lines.map(spellCash).join('\n'));
}

const record = (fields: readonly string[]) => writeCsvRecord(fields, ';');

const JAKARTA_MS = 7 * 3_600_000;

/** The first moment that still is to be kept: the business date so many years before today, from its midnight. */
function cutoff(now: number, years: number): Cutoff {
  const today = businessDate(now);
  const date = `${String(Number(today.slice(0, 4)) - years).padStart(4, '0')}${today.slice(4)}`;
  return { date, at: Date.parse(`${date.replace(/-02-29$/, '-03-01')}T00:00:00Z`) - JAKARTA_MS };
}

const dated = ({ count, oldest }: Aged) => ({
  count,
  oldest: typeof oldest === 'number' ? businessDate(oldest) : oldest,
});

/** The hub's own records as people call them. */
const RECORDS: Readonly<Record<keyof ReturnType<Reports['older']>, string>> = {
  decisions: 'decisions without entry',
  alarms: 'alarms',
  holds: 'holds',
  cardOrders: 'orders of cards',
  keyChanges: 'changes of card keys',
};

const spellAged = (what: string, { count, oldest }: Aged) =>
  `  ${what.padEnd(24)}${`${count}`.padStart(10)}${oldest === null ? '' : `  since ${oldest}`}`;

function retention({ say, now }: ReportCommandDeps, { json }: Flags, reports: Reports) {
  const rows = members(reports).map(({ id, name }) => {
    const years = reports.licence(id).retentionYears;
    const before = cutoff(now(), years);
    const { entries, changes } = reports.olderOf(id as CooperativeId, before);
    return { cooperative: id, name, years, before: before.date, entries: dated(entries), changes: dated(changes) };
  });
  const years = Math.max(...rows.map((row) => row.years), 0);
  const before = cutoff(now(), years);
  const hub = Object.entries(reports.older(before)).map(([what, aged]) => [what, dated(aged)] as const);
  if (json) return say(write({ cooperatives: rows, hub: { years, before: before.date, ...Object.fromEntries(hub) } }));
  for (const row of rows) {
    say(`${printable(row.name)}: kept ${row.years} years, so from before ${row.before}`);
    say([spellAged('entries', row.entries), spellAged('changes of licence', row.changes)].join('\n'));
  }
  say(`The hub as a whole: kept ${years} years, so from before ${before.date}`);
  say(hub.map(([what, aged]) => spellAged(RECORDS[what as keyof typeof RECORDS], aged)).join('\n'));
  say('Nothing is deleted: the books are kept whole, since every balance rests on all of them');
}

const data = ['-d, --data <dir>', 'data directory', './hub-data'] as const;

/** Adds the reports; they change nothing and need no hub to stop. */
export function addReportCommands(root: Command, deps: ReportCommandDeps): void {
  const report = root
    .command('report')
    .description('what cooperatives must be able to show; also while the hub serves');
  report
    .command('float')
    .description("each cooperative's customers' money against what covers it; exit code 1 if it does not")
    .option('--json', 'as one JSON object, amounts in rupiah')
    .option(...data)
    .action((flags: Flags) => withReports(deps, flags.data, (reports) => float(deps, flags, reports)));
  report
    .command('cash')
    .description('cash of one person within one business day that reaches a mark of the licence')
    .requiredOption('--month <yyyy-mm>', 'business month', month)
    .addOption(new Option('--csv', 'as a table for a spreadsheet').conflicts('json'))
    .option('--json', 'as one JSON object, amounts in rupiah')
    .option(...data)
    .action((flags: CashFlags) => withReports(deps, flags.data, (reports) => cash(deps, flags, reports)));
  report
    .command('retention')
    .description('what is older than it has to be kept: counts and oldest date; deletes nothing')
    .option('--json', 'as one JSON object')
    .option(...data)
    .action((flags: Flags) => withReports(deps, flags.data, (reports) => retention(deps, flags, reports)));
}

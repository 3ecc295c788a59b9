/** `simpul-hub incentives list | history | add | end | fund | redeem`: rewards, their budgets, and points spent. */
import { type Command, Option } from 'commander';
import { businessDate } from '../protocol/dates.ts';
import type { CooperativeId, MemberId, OutletId } from '../protocol/ids.ts';
import { spellRupiah } from '../protocol/money.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { type Refusal, refusals } from '../protocol/refusals.ts';
import { nextDeed } from './billcommands.ts';
import { hubPaths } from './config.ts';
import { amount, data, officer, withLedger } from './holdcommands.ts';
import { basisPoints, json, type LimitCommandDeps, withRegistry } from './limitcommands.ts';
import { officersFault } from './officers.ts';
import { redeem } from './operations/reward.ts';
import { printable, quoted } from './printable.ts';
import { budgetOf, equityOf } from './rules/accounts.ts';
import { type Incentive, REWARD_FORMS } from './rules/incentives.ts';
import type { IncentiveChange } from './store/incentives.ts';
import type { Ledger } from './store/ledger.ts';
import type { Changed } from './store/limits.ts';
import type { Registry } from './store/registry.ts';
import { openRegistry } from './store/sqlite/registry.ts';

interface Flags {
  readonly data: string;
  readonly json?: boolean;
}

interface OfficerFlags extends Flags {
  readonly officer: readonly string[];
}

interface AddFlags extends OfficerFlags {
  readonly cooperative: string;
  readonly budget: string;
  readonly form: Incentive['form'];
  readonly outlet?: string;
  readonly outletsOf?: string;
  readonly membersOf?: string;
  readonly fixed?: bigint;
  readonly points?: number;
  readonly most: bigint;
  readonly least?: bigint;
  readonly from?: string;
  readonly until?: string;
}

interface AgainFlags extends OfficerFlags {
  readonly again?: boolean;
}

/** Changes that `history` shows at most. */
const HISTORY_MAX = 1000;
/** How long the same money for the same budget is taken for one funding that was asked for twice. */
const REPEAT_MS = 12 * 3_600_000;
/** A budget's officers are warned when a tenth of it is left. */
const MARK_PARTS = 10n;

function spell(rule: Incentive): string {
  const { id, form, cooperative, budget, outlet, acquirer, members, fixed, most, least, from, until } = rule;
  const where = outlet ?? (acquirer === null ? 'any outlet' : `outlets of ${acquirer}`);
  const whose = members === null ? 'everybody' : `members of ${members}`;
  const gives = `${spellRupiah(fixed)} + ${rule.basisPoints / 100}%, at most ${spellRupiah(most)}`;
  const bounds = `payments from ${spellRupiah(least)}, ${from} to ${until ?? 'its end'}`;
  return `${id}: ${form} for ${whose} at ${where}: ${gives}; ${bounds}; out of ${cooperative}/${budget}`;
}

/** Says which rules there are or were. */
export function listIncentives(deps: LimitCommandDeps, flags: Flags): void {
  withRegistry(deps, flags, (registry) => {
    const rules = [...registry.incentives().values()];
    for (const rule of rules) deps.say(flags.json ? json(rule) : spell(rule));
    if (rules.length === 0 && !flags.json) deps.say('No incentive was ever added');
  });
}

function spellChange({ at, what, name, after, officers }: IncentiveChange): string {
  const by = officers.map(printable).join(' and ');
  return `${new Date(at).toISOString()}  ${what} ${name}: ${after}, by ${by}`;
}

/** Says who added, ended or funded what, the newest change first. */
export function incentiveHistory(deps: LimitCommandDeps, flags: Flags): void {
  withRegistry(deps, flags, (registry) => {
    for (const change of registry.incentiveChanges(HISTORY_MAX)) {
      deps.say(flags.json ? json({ ...change, after: JSON.parse(change.after) }) : spellChange(change));
    }
  });
}

/** Makes a change that two officers sign, and says what has changed. */
function change(deps: LimitCommandDeps, flags: OfficerFlags, make: (registry: Registry) => Changed): void {
  const fault = officersFault(flags.officer);
  if (fault !== null) {
    deps.fail(fault);
    return;
  }
  withRegistry(deps, flags, (registry) => {
    const made = make(registry);
    if (!made.ok) {
      deps.fail(made.error);
      return;
    }
    const [last] = registry.incentiveChanges(1);
    if (last !== undefined) deps.say(flags.json ? json({ ...last, after: JSON.parse(last.after) }) : spellChange(last));
    if (!flags.json) deps.say('A hub that serves knows within a second');
  });
}

/** Adds a rule; it never changes but for its end. */
export function addIncentive(deps: LimitCommandDeps, id: string, flags: AddFlags): void {
  const { cooperative, budget, form, outlet, outletsOf, membersOf, officer: officers } = flags;
  const at = deps.now();
  const rule: Incentive = {
    id,
    cooperative: cooperative as CooperativeId,
    budget,
    kind: 'purchase',
    form,
    outlet: (outlet ?? null) as OutletId | null,
    acquirer: (outletsOf ?? null) as CooperativeId | null,
    members: (membersOf ?? null) as CooperativeId | null,
    fixed: flags.fixed ?? 0n,
    basisPoints: flags.points ?? 0,
    most: flags.most,
    least: flags.least ?? 0n,
    from: flags.from ?? businessDate(at),
    until: flags.until ?? null,
  };
  change(deps, flags, (registry) => registry.addIncentive(rule, { officers, at }));
}

/** Ends a rule: today is the last day on which it rewards. */
export function endIncentive(deps: LimitCommandDeps, id: string, flags: OfficerFlags): void {
  const at = deps.now();
  const signed = { officers: flags.officer, at };
  change(deps, flags, (registry) => registry.endIncentive(id, businessDate(at), signed));
}

/** Whoever lost the answer asks again, and the money would be moved twice. */
function isRepeat(last: Receipt | null, sum: bigint, cooperative: CooperativeId, now: number): boolean {
  const same = last?.outcome === 'approved' && last.acquirer === cooperative && BigInt(last.amount) === sum;
  return same && now - last.at < REPEAT_MS;
}

/** Both files of a hub that is stopped, after the officers' names were looked at. */
async function withBooks(
  deps: LimitCommandDeps,
  flags: OfficerFlags,
  run: (ledger: Ledger, registry: Registry) => Promise<void>,
): Promise<void> {
  const fault = officersFault(flags.officer);
  if (fault !== null) return deps.fail(fault);
  await withLedger(deps, flags.data, async (ledger) => {
    const registry = openRegistry({ path: hubPaths(flags.data).registry });
    await run(ledger, registry).finally(() => registry.close());
  });
}

const REPEATED = 'the same was booked within twelve hours; add --again if this is to be moved once more';

/** Sets the cooperative's own capital aside for rewards. */
export async function fundBudget(
  deps: LimitCommandDeps,
  id: string,
  budget: string,
  sum: bigint,
  flags: AgainFlags,
): Promise<void> {
  const { say, fail, now } = deps;
  if (sum === 0n) return fail('a budget is more than nothing');
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(budget)) return fail('a budget has 1 to 32 small letters, digits and hyphens');
  await withBooks(deps, flags, async (ledger, registry) => {
    const cooperative = registry.cooperative(id as CooperativeId)?.id;
    if (cooperative === undefined) return fail(`cooperative ${quoted(id)} is not registered; name one that is`);
    const { key, last } = await nextDeed(ledger);
    const at = now();
    if (!flags.again && isRepeat(last, sum, cooperative, at)) return fail(REPEATED);
    const account = budgetOf(cooperative, budget);
    const figures = { debit: equityOf(cooperative), credit: account, amount: sum, reason: `rewards: ${budget}` };
    const posting = await ledger.post({
      key,
      hash: '',
      at,
      verdict: { approve: { kind: 'provision', figures }, guards: [] },
      slot: null,
      facts: { amount: sum, card: null, issuer: null, acquirer: cooperative, outlet: null },
      evidence: Buffer.from(JSON.stringify({ officers: flags.officer, reason: figures.reason })),
    });
    if (posting.kind !== 'decided' || !posting.receipt.includes('"outcome":"approved"')) {
      return fail('nothing was set aside; simpul-hub doctor may say more');
    }
    const [left = 0n] = await ledger.balances([account]);
    registry.noteFunding(cooperative, budget, sum, left / MARK_PARTS, { officers: flags.officer, at });
    if (flags.json) return say(json({ cooperative, budget, amount: sum, balance: left, mark: left / MARK_PARTS }));
    say(`${spellRupiah(sum)} of ${cooperative} is set aside; budget ${budget} now holds ${spellRupiah(left)}`);
    say(`An alarm is raised when ${spellRupiah(left / MARK_PARTS)} is left`);
  });
}

/** Turns a member's points, all or some, into money in the member's account. */
export async function redeemPoints(
  deps: LimitCommandDeps,
  id: string,
  member: string,
  sum: bigint | undefined,
  flags: AgainFlags,
): Promise<void> {
  const { say, fail, now } = deps;
  await withBooks(deps, flags, async (ledger, registry) => {
    const cooperative = id as CooperativeId;
    const { key, last } = await nextDeed(ledger);
    const home = registry.member(member as MemberId)?.cooperative;
    // All that is left can be redeemed only once anyway.
    const again = sum !== undefined && home !== undefined && isRepeat(last, sum, home, now());
    if (again && !flags.again) return fail(REPEATED);
    const asked = { key, cooperative, member: member as MemberId, amount: sum ?? null, officers: flags.officer };
    const done = await redeem({ ledger, registry, now }, asked);
    if (!done.ok && done.refusal === 'member-unknown') return fail(`member ${quoted(member)} is not registered`);
    if (!done.ok) return fail(`nothing was redeemed: ${refusals[done.refusal as Refusal].en}`);
    if (flags.json) return say(json({ cooperative, member, amount: done.amount, home: done.home }));
    say(`${spellRupiah(done.amount)} of points of ${cooperative} came into the account of ${member} at ${done.home}`);
  });
}

const signing = (command: Command): Command =>
  command
    .requiredOption(...officer)
    .option('--json', 'one JSON object a line')
    .option(...data);

function addChanges(root: Command, deps: LimitCommandDeps): void {
  signing(root.command('add').description('add a rule that rewards purchases'))
    .argument('<id>', 'its name, never used before')
    .requiredOption('--cooperative <id>', 'who pays')
    .requiredOption('--budget <id>', 'out of which of its budgets')
    .addOption(new Option('--form <form>', 'money or points').choices(REWARD_FORMS).makeOptionMandatory())
    .option('--outlet <id>', 'only for payments at this outlet')
    .option('--outlets-of <cooperative>', 'only for payments at its outlets')
    .option('--members-of <cooperative>', 'only for its members')
    .option('--fixed <rupiah>', 'what every payment earns', amount)
    .option('--points <points>', 'basis points of the payment on top: 500 is 5%', basisPoints)
    .requiredOption('--most <rupiah>', 'at most for one payment', amount)
    .option('--least <rupiah>', 'smallest payment that is rewarded', amount)
    .option('--from <date>', 'first business date (default: today)')
    .option('--until <date>', 'last business date (default: until it is ended)')
    .action((id: string, flags: AddFlags) => addIncentive(deps, id, flags));
  signing(root.command('end').description('end a rule: it rewards today for the last time'))
    .argument('<id>', 'its name')
    .action((id: string, flags: OfficerFlags) => endIncentive(deps, id, flags));
}

/** Adds the commands for rewards. */
export function addIncentiveCommands(root: Command, deps: LimitCommandDeps): void {
  const incentives = root.command('incentives').description('rewards for payments: rules, budgets and points');
  const shown = { list: 'every rule there is or was', history: 'who added, ended or funded what' };
  for (const [name, run] of Object.entries({ list: listIncentives, history: incentiveHistory })) {
    const command = incentives.command(name).description(shown[name as keyof typeof shown]);
    command.option('--json', 'one JSON object a line').option(...data);
    command.action((flags: Flags) => run(deps, flags));
  }
  addChanges(incentives, deps);
  const again = ['--again', 'although the same was booked last, within twelve hours'] as const;
  signing(incentives.command('fund').description('set own capital aside for rewards; the hub must be stopped'))
    .argument('<cooperative>', 'whose capital')
    .argument('<budget>', 'the budget')
    .argument('<rupiah>', 'how much', amount)
    .option(...again)
    .action((id: string, budget: string, sum: bigint, flags: AgainFlags) => fundBudget(deps, id, budget, sum, flags));
  signing(incentives.command('redeem').description("turn a member's points into money; the hub must be stopped"))
    .argument('<cooperative>', 'who gave the points')
    .argument('<member>', 'whose they are')
    .argument('[rupiah]', 'how many (default: all)', amount)
    .option(...again)
    .action((id: string, member: string, sum: bigint | undefined, flags: AgainFlags) =>
      redeemPoints(deps, id, member, sum, flags),
    );
}

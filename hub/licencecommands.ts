/** `simpul-hub licence show | set | member | changes`: what each cooperative may do, changed by two officers. */
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CooperativeId, MemberId } from '../protocol/ids.ts';
import { PLATFORM } from '../protocol/ids.ts';
import { spellRupiah, toWire } from '../protocol/money.ts';
import { hubPaths, readConfig } from './config.ts';
import { officersFault } from './officers.ts';
import { printable, quoted } from './printable.ts';
import { DUE_DILIGENCE, type DueDiligence, type Holder, type HubMode, isBelow, type Licence } from './rules/licence.ts';
import type { LicenceChange } from './store/licences.ts';
import type { Cooperative, Registry } from './store/registry.ts';
import { openRegistry } from './store/sqlite/registry.ts';

export interface LicenceCommandDeps {
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

interface ShowFlags extends Flags {
  readonly cooperative?: string;
}

interface SetFlags extends Flags, Partial<Omit<Licence, 'profiles' | 'retentionYears'>> {
  readonly cooperative: string;
  readonly profile?: Partial<Licence['profiles']>;
  readonly retention?: number;
  readonly officer: readonly string[];
}

interface MemberFlags extends Flags {
  readonly level?: DueDiligence;
  readonly public?: boolean;
  readonly officer: readonly string[];
}

function yesOrNo(text: string): boolean {
  if (text !== 'yes' && text !== 'no') throw new InvalidArgumentError('say yes or no');
  return text === 'yes';
}

function mark(text: string): bigint | null {
  if (text === 'none') return null;
  if (!/^\d{1,13}$/.test(text)) throw new InvalidArgumentError('whole rupiah, digits only, or none');
  return BigInt(text);
}

function years(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('a number of years');
  return Number(text);
}

function profile(text: string, before: Partial<Licence['profiles']> = {}): Partial<Licence['profiles']> {
  const [, level, name] = /^([a-z]+)=([a-z][a-z0-9-]{0,31})$/.exec(text) ?? [];
  const known = DUE_DILIGENCE.find((one) => one === level);
  if (known === undefined || name === undefined) {
    throw new InvalidArgumentError('LEVEL=NAME, with level none, simple or full, and a name of small letters');
  }
  return { ...before, [known]: name };
}

/** Runs on the registry of a data directory, also while a hub serves it. */
function withRegistry({ fail }: LicenceCommandDeps, directory: string, run: (registry: Registry) => unknown) {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  if (!read.ok) return fail(read.error);
  if (!existsSync(paths.registry)) return fail(`${paths.registry} is missing; run simpul-hub init, or restore it`);
  const registry = openRegistry({ path: paths.registry });
  try {
    run(registry);
  } catch (error) {
    // What does not hold together is told by the registry's own rules, judged where nobody can come between.
    if (!(error instanceof RangeError)) throw error;
    fail(`${error.message}; nothing was changed`);
  } finally {
    registry.close();
  }
}

/** A licence with what its members lack, as others read it: amounts whole rupiah. */
function described(registry: Registry, { id, name }: Cooperative) {
  const licence = registry.licence(id);
  const members = registry.members().filter(({ cooperative }) => cooperative === id);
  const holders = members.map((member) => registry.holder(member.id));
  const wire = (amount: bigint | null) => (amount === null ? null : toWire(amount));
  return {
    cooperative: id,
    name,
    ...licence,
    cashThreshold: wire(licence.cashThreshold),
    cashNotice: wire(licence.cashNotice),
    members: members.length,
    belowDueDiligence: holders.filter((holder) => isBelow(licence, holder)).length,
    ofThePublic: holders.filter(({ isPublic }) => isPublic).length,
  };
}
type Described = ReturnType<typeof described>;

const word = (on: boolean) => (on ? 'yes' : 'no');
const amount = (value: number | null) => (value === null ? 'none' : spellRupiah(BigInt(value)));

function spell(licence: Described): string {
  const { profiles } = licence;
  const switches = `off-us ${word(licence.offUs)}, purse ${word(licence.purse)}, deposits ${word(licence.deposits)}`;
  const lacking = `${licence.belowDueDiligence} of ${licence.members} below`;
  return [
    `${licence.cooperative}  ${printable(licence.name)}`,
    `  ${switches}, members-only ${word(licence.membersOnly)} (${licence.ofThePublic} of the public)`,
    `  due-diligence ${licence.dueDiligence} (${lacking}), ` +
      `profiles none=${profiles.none} simple=${profiles.simple} full=${profiles.full}`,
    `  cash-threshold ${amount(licence.cashThreshold)}, cash-notice ${amount(licence.cashNotice)}, ` +
      `float-report ${word(licence.floatReport)}, retention ${licence.retentionYears} years`,
  ].join('\n');
}

const MODES: Readonly<Record<HubMode, string>> = {
  demo: 'This hub is a demonstration: everything is allowed, and nothing in it is real',
  licensed: 'This hub is licensed: each cooperative does what its licence allows. Software is no licence',
};

function show({ say, fail }: LicenceCommandDeps, { cooperative, json }: ShowFlags, registry: Registry) {
  const all = registry.cooperatives().filter(({ id }) => id !== PLATFORM);
  const chosen = all.filter(({ id }) => cooperative === undefined || id === cooperative);
  if (chosen.length === 0) return fail(`no cooperative is called ${quoted(cooperative ?? '')}; licence show lists all`);
  const rows = chosen.map((one) => described(registry, one));
  const mode = registry.mode();
  if (json) return say(JSON.stringify({ mode, licences: rows }));
  say([MODES[mode], ...rows.map(spell)].join('\n'));
}

const spellChange = ({ at, cooperative, member, what, before, after, officers }: LicenceChange): string => {
  const of = member === null ? cooperative : `${member} of ${cooperative}`;
  const who = officers.map(printable).join(' and ');
  return `${new Date(at).toISOString()}  ${of}  ${what}: ${before} -> ${after}  by ${who}`;
};

function tell({ say }: LicenceCommandDeps, changes: readonly LicenceChange[], json: boolean, none: string) {
  if (json) for (const change of changes) say(JSON.stringify(change));
  else say(changes.length === 0 ? none : changes.map(spellChange).join('\n'));
}

const NOTHING = 'Nothing changes: it stands so already';

/** What two officers may do together, or null after saying what is missing. */
function byOfficers({ fail, now }: LicenceCommandDeps, officers: readonly string[]) {
  const fault = officersFault(officers);
  return fault === null ? { at: now(), officers } : fail(fault);
}

/** The parts of a licence that a command names; those it does not name stay as they are. */
function named({ profile: profiles, retention, ...flags }: SetFlags, before: Licence): Partial<Licence> {
  const { offUs, purse, deposits, membersOnly, dueDiligence, cashThreshold, cashNotice, floatReport } = flags;
  const given = { offUs, purse, deposits, membersOnly, dueDiligence, cashThreshold, cashNotice, floatReport };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(profiles === undefined ? {} : { profiles: { ...before.profiles, ...profiles } }),
    ...(retention === undefined ? {} : { retentionYears: retention }),
  };
}

function set(deps: LicenceCommandDeps, flags: SetFlags, registry: Registry) {
  const { fail } = deps;
  const id = flags.cooperative as CooperativeId;
  const by = byOfficers(deps, flags.officer);
  if (!by) return;
  if (id === PLATFORM || registry.cooperative(id) === undefined) {
    return fail(`no cooperative is called ${quoted(id)}; simpul-hub licence show lists all`);
  }
  if (registry.mode() === 'demo') {
    const next = 'make another with simpul-hub init --mode licensed for cooperatives that hold one';
    return fail(`this hub is a demonstration, where no licence counts; ${next}`);
  }
  const parts = named(flags, registry.licence(id));
  if (Object.keys(parts).length === 0) return fail('name at least one thing to change; --help lists them');
  tell(deps, registry.changeLicence(id, parts, by), flags.json === true, NOTHING);
}

function setMember(deps: LicenceCommandDeps, id: string, flags: MemberFlags, registry: Registry) {
  const { fail } = deps;
  const by = byOfficers(deps, flags.officer);
  if (!by) return;
  const member = registry.member(id as MemberId);
  if (member === undefined) return fail(`no member is called ${quoted(id)}`);
  const { level, public: isPublic } = flags;
  if (level === undefined && isPublic === undefined) return fail('name --level, --public or both');
  const parts: Partial<Holder> = {
    ...(level === undefined ? {} : { level }),
    ...(isPublic === undefined ? {} : { isPublic }),
  };
  tell(deps, registry.changeHolder(member.id, parts, by), flags.json === true, NOTHING);
}

const data = ['-d, --data <dir>', 'data directory', './hub-data'] as const;
const officer = ['--officer <name...>', 'the two officers, by name'] as const;
const json = ['--json', 'as JSON'] as const;

function addSet(licence: Command, deps: LicenceCommandDeps): void {
  licence
    .command('set')
    .description('change what a licence allows or asks for, by two officers; a hub that serves knows within a second')
    .requiredOption('--cooperative <id>', 'whose licence')
    .option('--off-us <yes|no>', 'its members pay elsewhere, and those of others here', yesOrNo)
    .option('--purse <yes|no>', 'its members load money on their cards', yesOrNo)
    .option('--deposits <yes|no>', 'it takes deposits, and gives them back over counters', yesOrNo)
    .option('--members-only <yes|no>', 'only members hold accounts', yesOrNo)
    .addOption(new Option('--due-diligence <level>', 'the least to know of each holder').choices(DUE_DILIGENCE))
    .option('--profile <level=name>', 'the limit profile of a level; may be given for each', profile)
    .option('--cash-threshold <rupiah|none>', 'cash of one person in one day that is to be reported', mark)
    .option('--cash-notice <rupiah|none>', 'a lower mark that the report shows too', mark)
    .option('--float-report <yes|no>', 'it must show that what customers hold is covered', yesOrNo)
    .option('--retention <years>', 'how long books and records are kept', years)
    .requiredOption(...officer)
    .option(...json)
    .option(...data)
    .action((flags: SetFlags) => withRegistry(deps, flags.data, (registry) => set(deps, flags, registry)));
}

/** Adds the officers' commands for licences. */
export function addLicenceCommands(root: Command, deps: LicenceCommandDeps): void {
  const licence = root.command('licence').description('what each cooperative may do; software is no licence');
  licence
    .command('show')
    .description("the hub's mode and each cooperative's licence, with the members of whom too little is known")
    .option('--cooperative <id>', 'only this one')
    .option(...json)
    .option(...data)
    .action((flags: ShowFlags) => withRegistry(deps, flags.data, (registry) => show(deps, flags, registry)));
  addSet(licence, deps);
  licence
    .command('member')
    .description('write down, by two officers, how well a member is known, or that it is one of the public')
    .argument('<member>', "the member's id")
    .addOption(new Option('--level <level>', 'level of due diligence').choices(DUE_DILIGENCE))
    .option('--public <yes|no>', 'holds an account without being a member', yesOrNo)
    .requiredOption(...officer)
    .option(...json)
    .option(...data)
    .action((id: string, flags: MemberFlags) =>
      withRegistry(deps, flags.data, (registry) => setMember(deps, id, flags, registry)),
    );
  licence
    .command('changes')
    .description('every change of a licence or of what is known of a member, the oldest first')
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((flags: Flags) =>
      withRegistry(deps, flags.data, (registry) =>
        tell(deps, registry.licenceChanges(), flags.json === true, 'No licence was ever changed'),
      ),
    );
}

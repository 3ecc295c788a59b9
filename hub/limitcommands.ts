/** `simpul-hub limits list | history | set-profile | set-cap | set-member`: what binds members and cooperatives. */
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { CooperativeId, MemberId } from '../protocol/ids.ts';
import { CAP_ALERT, type LimitProfile } from '../protocol/limits.ts';
import { spellRupiah, toWire } from '../protocol/money.ts';
import { hubPaths, readConfig } from './config.ts';
import { amount, data, officer } from './holdcommands.ts';
import { officersFault } from './officers.ts';
import { quoted } from './printable.ts';
import { alertOf, profileFault } from './rules/limits.ts';
import type { Changed, LimitChange, MemberLimits } from './store/limits.ts';
import type { Registry } from './store/registry.ts';
import { openRegistry } from './store/sqlite/registry.ts';

export interface LimitCommandDeps {
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

type Figures = Omit<LimitProfile, 'name'>;

/** Each figure of a profile: its option, and what it is called. */
const FIGURES: readonly (readonly [keyof Figures, string, string])[] = [
  ['perTap', 'per-tap', 'per payment'],
  ['perDay', 'per-day', 'out in a day'],
  ['perMonth', 'per-month', 'out in a month'],
  ['perMonthIn', 'per-month-in', 'in in a month'],
  ['maxBalance', 'max-balance', 'balance'],
  ['pinAbove', 'pin-above', 'PIN above'],
  ['noPinSum', 'no-pin-sum', 'without PIN since the last PIN'],
  ['noPinPerDay', 'no-pin-per-day', 'without PIN in a day'],
];

/** Changes that `history` shows at most. */
const HISTORY_MAX = 1000;
const BASIS_POINTS = 10_000;

export function basisPoints(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value > BASIS_POINTS) {
    throw new InvalidArgumentError('basis points are a whole number from 0 to 10000: 8000 is 80%');
  }
  return value;
}

/** A limit of the member's own; `none` takes it away. */
const own = (text: string): bigint | 'none' => (text === 'none' ? text : amount(text));

/** Runs on the registry of a directory that holds a hub, also while it serves. */
export function withRegistry(
  { fail }: LimitCommandDeps,
  { data: directory }: Flags,
  run: (registry: Registry) => void,
): void {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  const missing = existsSync(paths.registry)
    ? null
    : `${paths.registry} is missing; run simpul-hub init, or restore it`;
  const fault = read.ok ? missing : read.error;
  if (fault !== null) {
    fail(fault);
    return;
  }
  const registry = openRegistry({ path: paths.registry });
  try {
    run(registry);
  } finally {
    registry.close();
  }
}

const spellFigures = (profile: LimitProfile): string =>
  FIGURES.map(([figure, , words]) => `${words} ${spellRupiah(profile[figure])}`).join(', ');

function spellOwn({ profile, perTap, perDay }: MemberLimits): string {
  const limits = { 'per payment': perTap, 'out in a day': perDay };
  const chosen = Object.entries(limits).flatMap(([words, limit]) =>
    limit === null ? [] : [`${words} ${spellRupiah(limit)}`],
  );
  return chosen.length === 0 ? profile : `${profile}, and of its own: ${chosen.join(', ')}`;
}

/** One JSON object, amounts as whole numbers. */
export const json = (value: object): string =>
  JSON.stringify(value, (_name, part: unknown) => (typeof part === 'bigint' ? toWire(part) : part));

/** Says what binds whom. */
export function listLimits(deps: LimitCommandDeps, flags: Flags): void {
  withRegistry(deps, flags, (registry) => {
    const tell = (what: object, words: string) => deps.say(flags.json ? json(what) : words);
    for (const profile of registry.profiles()) {
      tell({ what: 'profile', ...profile }, `Profile ${profile.name}: ${spellFigures(profile)}`);
    }
    for (const { id, netDebitCap, capAlert = CAP_ALERT } of registry.cooperatives()) {
      const level = spellRupiah(alertOf(netDebitCap, capAlert));
      const words = `Cooperative ${id}: may owe ${spellRupiah(netDebitCap)}, an alarm from ${level}`;
      tell({ what: 'cap', name: id, netDebitCap, capAlert }, words);
    }
    for (const [id, limits] of registry.limitedMembers()) {
      tell({ what: 'member', name: id, ...limits }, `Member ${id}: ${spellOwn(limits)}`);
    }
  });
}

function asJson({ before, after, ...change }: LimitChange): string {
  return JSON.stringify({ ...change, before: before && JSON.parse(before), after: JSON.parse(after) });
}

function spellChange({ what, name, before, after, officers, at }: LimitChange): string {
  const [was, is] = [before ?? '{}', after].map((text) => JSON.parse(text) as Record<string, unknown>);
  const changed = Object.entries(is ?? {}).flatMap(([key, value]) =>
    (was?.[key] ?? null) === value ? [] : [`${key} ${was?.[key] ?? 'none'} -> ${value ?? 'none'}`],
  );
  const by = officers.join(' and ');
  return `${new Date(at).toISOString()}  ${what} ${name}: ${changed.join(', ') || 'as it was'}, by ${by}`;
}

/** Says who changed which limit, the newest change first. */
export function limitHistory(deps: LimitCommandDeps, flags: Flags): void {
  withRegistry(deps, flags, (registry) => {
    const changes = registry.limitChanges(HISTORY_MAX);
    for (const change of changes) deps.say(flags.json ? asJson(change) : spellChange(change));
    if (changes.length === 0 && !flags.json) deps.say('No limit was changed');
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
    const [last] = registry.limitChanges(1);
    if (last !== undefined) deps.say(flags.json ? asJson(last) : spellChange(last));
    if (!flags.json) deps.say('A hub that serves knows within a second');
  });
}

/** Changes some figures of a profile, or makes one of all. */
export function setProfile(deps: LimitCommandDeps, name: string, flags: OfficerFlags & Partial<Figures>): void {
  change(deps, flags, (registry) =>
    registry.changeProfile(name, { officers: flags.officer, at: deps.now() }, (before) => {
      const missing = FIGURES.filter(([figure]) => (flags[figure] ?? before?.[figure]) === undefined);
      if (missing.length > 0) return `a new profile needs ${missing.map(([, option]) => `--${option}`).join(' ')} too`;
      const figures = FIGURES.map(([figure]) => [figure, flags[figure] ?? before?.[figure]]);
      const profile = { name, ...(Object.fromEntries(figures) as Figures) };
      const fault = profileFault(profile);
      return fault === null ? profile : `${quoted(name)} cannot be applied: ${fault}`;
    }),
  );
}

interface CapFlags extends OfficerFlags {
  readonly alert?: number;
}

/** Changes a net debit cap, in rupiah, and the level of its alarm. */
export function setCap(deps: LimitCommandDeps, id: string, netDebitCap: bigint, flags: CapFlags): void {
  change(deps, flags, (registry) => {
    const known = registry.cooperative(id as CooperativeId);
    if (known === undefined) {
      return { ok: false, error: `cooperative ${quoted(id)} is not registered; simpul-hub limits list names those` };
    }
    const signed = { officers: flags.officer, at: deps.now() };
    return registry.changeCap(known.id, signed, ({ capAlert }) => ({ netDebitCap, capAlert: flags.alert ?? capAlert }));
  });
}

interface MemberFlags extends OfficerFlags {
  readonly profile?: string;
  readonly perTap?: bigint | 'none';
  readonly perDay?: bigint | 'none';
}

/** What is to stand: what was asked for, or what stood before. */
const asked = (limit: bigint | 'none' | undefined, before: bigint | null): bigint | null => {
  if (limit === undefined) return before;
  return limit === 'none' ? null : limit;
};

/** Own limits are the member's word; whoever they are typed by, they can only be lower than the profile. */
function ownFault(profile: LimitProfile, { perTap, perDay }: MemberLimits): string | null {
  if (perTap !== null && perTap > profile.perTap) {
    return `profile ${profile.name} allows ${spellRupiah(profile.perTap)} per payment: an own limit may only be lower`;
  }
  if (perDay !== null && perDay > profile.perDay) {
    return `profile ${profile.name} allows ${spellRupiah(profile.perDay)} in a day: an own limit may only be lower`;
  }
  return null;
}

/** Gives a member another profile, or limits of the member's own. */
export function setMember(deps: LimitCommandDeps, id: string, flags: MemberFlags): void {
  const { perTap, perDay } = flags;
  change(deps, flags, (registry) => {
    const member = registry.member(id as MemberId);
    if (member === undefined) return { ok: false, error: `member ${quoted(id)} is not registered; check the number` };
    return registry.changeMember(member.id, { officers: flags.officer, at: deps.now() }, (before) => {
      const after = {
        profile: flags.profile ?? before.profile,
        perTap: asked(perTap, before.perTap),
        perDay: asked(perDay, before.perDay),
      };
      const profiles = registry.profiles();
      const profile = profiles.find(({ name }) => name === after.profile);
      if (profile === undefined) {
        const names = profiles.map(({ name }) => name).join(', ');
        return `no profile is called ${quoted(after.profile)}; there are: ${names}`;
      }
      return ownFault(profile, after) ?? after;
    });
  });
}

/** Adds the commands for limits. */
export function addLimitCommands(root: Command, deps: LimitCommandDeps): void {
  const limits = root.command('limits').description('what members may do, and what cooperatives may owe');
  const plain = ['--json', 'one JSON object a line'] as const;
  const shown = { list: 'profiles, caps, and members with other limits', history: 'who changed which limit, and how' };
  for (const [name, run] of Object.entries({ list: listLimits, history: limitHistory })) {
    const command = limits.command(name).description(shown[name as keyof typeof shown]);
    command
      .option(...plain)
      .option(...data)
      .action((flags: Flags) => run(deps, flags));
  }
  const changing = (name: string, description: string) =>
    limits
      .command(name)
      .description(description)
      .requiredOption(...officer)
      .option(...plain)
      .option(...data);
  const profile = changing('set-profile', 'change a profile, or make one').argument('<name>', 'the profile');
  for (const [, option, words] of FIGURES) profile.option(`--${option} <rupiah>`, `at most, ${words}`, amount);
  profile.action((name: string, flags: OfficerFlags & Partial<Figures>) => setProfile(deps, name, flags));
  changing('set-cap', 'change what a cooperative may owe the others before settlement')
    .argument('<cooperative>', 'whose cap it is')
    .argument('<rupiah>', 'the net debit cap', amount)
    .option('--alert <points>', 'basis points of the cap from which an alarm is raised', basisPoints)
    .action((id: string, cap: bigint, flags: CapFlags) => setCap(deps, id, cap, flags));
  changing('set-member', "give a member another profile, or limits of the member's own below it")
    .argument('<member>', 'whose limits they are')
    .option('--profile <name>', 'the profile')
    .option('--per-tap <rupiah>', "the member's own limit per payment, or none", own)
    .option('--per-day <rupiah>', "the member's own limit of a day, or none", own)
    .action((id: string, flags: MemberFlags) => setMember(deps, id, flags));
}

/** `simpul-hub tariffs list | add | simulate`: what payments cost, and what they would cost. */
import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { businessDate } from '../protocol/dates.ts';
import { PLATFORM } from '../protocol/ids.ts';
import { spellRupiah } from '../protocol/money.ts';
import { DEFAULT_CLASS, stillCounts, type Tariff } from '../protocol/tariffs.ts';
import { hubPaths, readConfig } from './config.ts';
import { officersFault } from './officers.ts';
import { printable } from './printable.ts';
import { type Change, type Effect, simulate } from './rules/simulation.ts';
import type { Registry } from './store/registry.ts';
import { bookedSales } from './store/sqlite/bookedsales.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import { fitsBook } from './tariffbook.ts';
import { readTariffs } from './tarifffile.ts';

export interface TariffCommandDeps {
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

/** Runs on the registry of a data directory, while a hub serves or not. */
function withRegistry(
  { fail }: TariffCommandDeps,
  directory: string,
  run: (registry: Registry, ledger: string) => unknown,
): void {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  if (!read.ok) return void fail(read.error);
  for (const path of [paths.registry, paths.ledger]) {
    if (!existsSync(path)) return void fail(`${path} is missing; run simpul-hub init, or restore it`);
  }
  const registry = openRegistry({ path: paths.registry });
  try {
    run(registry, paths.ledger);
  } finally {
    registry.close();
  }
}

const payerWords = { merchant: 'the outlet pays', issuer: "the member's cooperative pays", member: 'the member pays' };

/** Hundredths of a percent as people write them: 70 is 0.7%. */
const percent = (basisPoints: number) => `${basisPoints / 100}%`;

function spellTerms(terms: Omit<Tariff, 'version'>): string {
  const { kind, reach, class: named, direction = 'merchant', fixed, basisPoints, min, max, shares, from } = terms;
  const where = named === undefined ? '' : ` at outlets of class ${named}`;
  const price = max === 0n ? 'free' : `${spellRupiah(fixed)} + ${percent(basisPoints)}`;
  const bounds = max === 0n ? '' : `, at least ${spellRupiah(min)}, at most ${spellRupiah(max)}`;
  const parts = shares.map(({ to, weight }) => `${to} ${weight}`).join(', ');
  const split = parts === '' ? '' : `; shared ${parts}`;
  const until = terms.until === undefined ? '' : ` until ${terms.until}`;
  return `${kind} ${reach}${where}, ${payerWords[direction]}: ${price}${bounds}${split}; from ${from}${until}`;
}

function stateOf(tariff: Tariff, all: readonly Tariff[], today: string): 'to come' | 'in force' | 'over' {
  if (tariff.from > today) return 'to come';
  return stillCounts(tariff, all, today) ? 'in force' : 'over';
}

function list({ say, now, ...deps }: TariffCommandDeps, { data, json }: Flags): void {
  withRegistry({ say, now, ...deps }, data, (registry) => {
    const all = registry.tariffs();
    const today = businessDate(now());
    for (const tariff of all) {
      const state = stateOf(tariff, all, today);
      const added = registry.tariffAdded(tariff.version);
      if (json) {
        const { fixed, min, max } = tariff;
        say(JSON.stringify({ ...tariff, fixed: Number(fixed), min: Number(min), max: Number(max), state, added }));
        continue;
      }
      const by = added === null ? '' : `; added by ${printable(added.officers.join(' and '))}`;
      say(`${tariff.version}  ${state}  ${spellTerms(tariff)}${by}`);
    }
    if (all.length === 0 && !json) say('There are no tariffs: every payment is free');
  });
}

interface AddFlags extends Flags {
  readonly officer: readonly string[];
}

function add(deps: TariffCommandDeps, file: string, { data, officer, json }: AddFlags): void {
  const { say, fail, now } = deps;
  const fault = officersFault(officer);
  if (fault !== null) return void fail(fault);
  const read = readTariffs(file);
  if (!read.ok) return void fail(`${read.error}; nothing was added`);
  const at = now();
  const today = businessDate(at);
  const late = read.terms.findIndex(({ from }) => from < today);
  if (late >= 0) {
    const first = read.terms[late]?.from;
    return void fail(`tariff ${late + 1} would begin on ${first}, and today is ${today}: what was paid stays as it is`);
  }
  withRegistry(deps, data, (registry) => {
    const all = registry.tariffs();
    const next = read.terms.map((terms, after) => ({ ...terms, version: all.length + 1 + after }));
    if (!fitsBook([...all, ...next], today)) {
      return fail('the tariffs would not fit the book that kiosks hold; give up some by replacing them, or end them');
    }
    for (const tariff of registry.addTariffs(read.terms, officer, at)) {
      say(json ? JSON.stringify({ version: tariff.version }) : `Added ${tariff.version}: ${spellTerms(tariff)}`);
    }
  });
}

interface SimulateFlags extends Flags {
  readonly month: string;
}

function month(text: string): string {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(text)) throw new InvalidArgumentError('a month reads YYYY-MM');
  return text;
}

const changed = ({ was, would }: Change) => {
  const more = would - was;
  return `${spellRupiah(was)}, would be ${spellRupiah(would)} (${more > 0n ? '+' : ''}${spellRupiah(more)})`;
};

const rows = {
  earned: 'earns',
  merchants: 'its outlets pay',
  own: 'pays for its members',
  members: 'its members pay',
} as const;

function spellEffect(effect: Effect): string {
  const lines = (Object.keys(rows) as (keyof typeof rows)[])
    .filter((row) => row === 'earned' || effect[row].was !== 0n || effect[row].would !== 0n)
    .map((row) => `  ${rows[row]} ${changed(effect[row])}`);
  const count = effect.cooperative === PLATFORM ? '' : `: ${effect.sales} payments at its outlets`;
  return [`${effect.cooperative}${count}`, ...lines].join('\n');
}

function asJson(effect: Effect): string {
  const numbers = ({ was, would }: Change) => {
    return { was: Number(was), would: Number(would), difference: Number(would - was) };
  };
  const { cooperative, sales, earned, merchants, own, members } = effect;
  const costs = { merchants: numbers(merchants), own: numbers(own), members: numbers(members) };
  return JSON.stringify({ cooperative, sales, earned: numbers(earned), ...costs });
}

function tryOut(deps: TariffCommandDeps, file: string, { data, month, json }: SimulateFlags): void {
  const { say, fail } = deps;
  const read = readTariffs(file);
  if (!read.ok) return void fail(read.error);
  withRegistry(deps, data, (registry, ledger) => {
    const classOf = (id: Parameters<Registry['outlet']>[0] | null) =>
      (id === null ? undefined : registry.outlet(id))?.class ?? DEFAULT_CLASS;
    const effects = simulate(registry.tariffs(), read.terms, bookedSales(ledger, month, classOf));
    if (json) for (const effect of effects) say(asJson(effect));
    else if (effects.length === 0) say(`Nothing was paid in ${month}`);
    else for (const effect of effects) say(spellEffect(effect));
  });
}

const data = ['-d, --data <dir>', 'data directory', './hub-data'] as const;
const form = 'JSON: {"v": 1, "tariffs": [...]}, each as in a town file, without a version';

/** Adds the officers' commands for tariffs. */
export function addTariffCommands(root: Command, deps: TariffCommandDeps): void {
  const tariffs = root.command('tariffs').description('what payments cost, who pays it and who earns it');
  tariffs
    .command('list')
    .description('every tariff there ever was, by version')
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((flags: Flags) => list(deps, flags));
  tariffs
    .command('add')
    .description('add tariffs under new versions; none that is there changes; a hub that serves knows within a second')
    .argument('<file>', form)
    .requiredOption('--officer <name...>', 'the two officers, by name')
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((file: string, flags: AddFlags) => add(deps, file, flags));
  tariffs
    .command('simulate')
    .description('what the payments of a month would have cost with proposed tariffs laid over those there are')
    .argument('<file>', form)
    .requiredOption('--month <month>', 'business month, YYYY-MM', month)
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((file: string, flags: SimulateFlags) => tryOut(deps, file, flags));
}

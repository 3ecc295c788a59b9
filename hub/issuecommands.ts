/** `simpul-hub cards issue | labels | list | history | activate …`: the officers' side of cards on the command line. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { type Done, doDeed, historyAsJson, historyOf, historyUnknown, spellHistory, withdraw } from './carddeeds.ts';
import { LIST_STATUSES, type ListStatus, listCards, spellCards } from './cardlist.ts';
import { type HubConfig, type HubPaths, hubPaths, readConfig } from './config.ts';
import { makeLog, realEdges } from './edges.ts';
import { openTeller } from './issuenotes.ts';
import { type IssueEnd, issueCards } from './issuerun.ts';
import { labelsOf, labelTarget, writeLabels } from './labels.ts';
import { type Fault, type MemberList, readMemberList } from './memberlist.ts';
import { isPrintable, printable, quoted } from './printable.ts';
import { DEEDS, type Deed, isLive } from './rules/lifecycle.ts';
import type { Registry } from './store/registry.ts';
import { isHeld } from './store/sqlite/alone.ts';
import { openRegistry } from './store/sqlite/registry.ts';

export interface IssueCommandDeps {
  readonly say: (text: string) => void;
  /** Says what failed, and makes the exit code 1. */
  readonly fail: (error: string) => void;
}

interface Opened {
  readonly registry: Registry;
  readonly config: HubConfig;
  readonly paths: HubPaths;
}

/** Runs on the registry of a data directory; one that holds no hub is left without. */
async function withRegistry(
  { fail }: IssueCommandDeps,
  directory: string,
  run: (opened: Opened) => unknown,
): Promise<void> {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  if (!read.ok) return fail(read.error);
  if (!existsSync(paths.registry)) return fail(`${paths.registry} is missing; run simpul-hub init, or restore it`);
  const registry = openRegistry({ path: paths.registry });
  try {
    await run({ registry, config: read.config, paths });
  } finally {
    registry.close();
  }
}

interface IssueFlags {
  readonly data: string;
  readonly batch?: string;
  readonly member?: string;
  readonly labels?: string;
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly json?: boolean;
}

/** The first signal ends the wait; the second one ends the process as it always does. */
function stopAtSignal(): { readonly signal: AbortSignal; readonly off: () => void } {
  const stop = new AbortController();
  const heard = () => {
    off();
    stop.abort();
  };
  const off = () => {
    process.off('SIGINT', heard);
    process.off('SIGTERM', heard);
  };
  process.on('SIGINT', heard);
  process.on('SIGTERM', heard);
  return { signal: stop.signal, off };
}

const BATCH_MAX = 64;
/** The list of those who were ordered a card one by one. */
const ONE_BY_ONE = 'one-by-one';

/** A list is called like its file. */
function readBatch(path: string): { readonly batch: string; readonly list: MemberList } {
  const batch = basename(path).replace(/\.csv$/i, '');
  const usable = batch !== '' && batch.length <= BATCH_MAX && isPrintable(batch);
  if (usable) return { batch, list: readMemberList(path) };
  const error = `a list is called like its file: give that a plain name of at most ${BATCH_MAX} characters`;
  return { batch, list: { rows: [], faults: [{ line: null, error }] } };
}

function oneMember(registry: Registry, id: string): { readonly batch: string; readonly list: MemberList } {
  const member = registry.member(id as Parameters<Registry['member']>[0]);
  const error = `no member is called ${quoted(id)}; register new ones with a list: --batch FILE`;
  const list: MemberList =
    member === undefined ? { rows: [], faults: [{ line: null, error }] } : { rows: [{ line: 1, member }], faults: [] };
  return { batch: ONE_BY_ONE, list };
}

function tellFaults({ say, fail }: IssueCommandDeps, from: string, faults: readonly Fault[], json: boolean): void {
  if (json) for (const fault of faults) say(JSON.stringify({ state: 'fault', ...fault }));
  const lines = faults.map(({ line, error }) => `${line === null ? '' : `line ${line}: `}${error}`);
  const [only] = lines;
  if (lines.length === 1 && faults[0]?.line === null) fail(`${printable(from)}: ${only}; nothing was ordered`);
  else fail(`${printable(from)} has ${lines.length} faults; nothing was ordered:\n  ${lines.join('\n  ')}`);
}

function endIssue({ fail }: IssueCommandDeps, end: IssueEnd & { ok: true }): void {
  if (end.labelError !== null) fail(end.labelError);
  if (end.done) return;
  fail(
    'the orders stay where they are, and chips go on becoming cards; the same command watches again, ' +
      'and simpul-hub cards withdraw NUMBER takes an order back',
  );
}

async function issue(deps: IssueCommandDeps, flags: IssueFlags, { registry, config, paths }: Opened): Promise<void> {
  const { labels: out, dryRun: dry = false, wait, json = false } = flags;
  const target = out === undefined ? null : labelTarget(config, out);
  if (target !== null && !target.ok) return deps.fail(target.error);
  const from = flags.batch ?? flags.member ?? '';
  const named = flags.batch === undefined ? oneMember(registry, from) : readBatch(flags.batch);
  const teller = openTeller(process.stdout, json);
  const stop = stopAtSignal();
  try {
    const real = realEdges(makeLog('warn'));
    const edges = { registry, ...real, serves: () => isHeld(paths.lock), tell: teller.tell, stop: stop.signal };
    const end = await issueCards(edges, { ...named, dry, wait, labels: target?.file ?? null });
    teller.close();
    if (end.ok) endIssue(deps, end);
    else tellFaults(deps, from, end.faults, json);
  } finally {
    teller.close();
    stop.off();
  }
}

interface LabelFlags {
  readonly data: string;
  readonly batch: string;
  readonly out: string;
}

/** Labels of a list's cards, as far as they are made. */
async function labels(
  { say, fail }: IssueCommandDeps,
  { batch, out }: LabelFlags,
  { registry, config }: Opened,
): Promise<void> {
  const target = labelTarget(config, out);
  if (!target.ok) return fail(target.error);
  const orders = registry.orders(batch);
  if (orders.length === 0) {
    const known = [...new Set(registry.orders().map((order) => printable(order.batch)))];
    return fail(`no list is called ${quoted(batch)}; known: ${known.slice(-8).join(', ') || 'none'}`);
  }
  const cards = orders.flatMap(({ uid }) => (uid === null ? [] : (registry.card(uid) ?? [])));
  const made = cards.filter(({ status }) => status !== 'personalising' && isLive(status));
  if (made.length === 0) return fail('no card of this list is made yet; nothing was written');
  const error = writeLabels(labelsOf(registry, made, target.file.host), out);
  if (error !== null) return fail(error);
  say(`${made.length} labels are in ${out}; ${orders.length - made.length} cards of the list are not made, or ended`);
}

interface ListFlags {
  readonly data: string;
  readonly status?: ListStatus;
  readonly json?: boolean;
}

async function list({ say }: IssueCommandDeps, { status, json }: ListFlags, { registry }: Opened): Promise<void> {
  const rows = listCards(registry, status);
  if (!json) return void process.stdout.write(spellCards(registry, rows));
  for (const row of rows) say(JSON.stringify(row));
}

interface HistoryFlags {
  readonly data: string;
  readonly json?: boolean;
}

async function history(
  { say, fail }: IssueCommandDeps,
  name: string,
  { json }: HistoryFlags,
  { registry }: Opened,
): Promise<void> {
  const found = historyOf(registry, name);
  if (found === null) return fail(historyUnknown(name));
  if (json) say(historyAsJson(found));
  else process.stdout.write(spellHistory(registry, found));
}

const data = ['-d, --data <dir>', 'data directory', './hub-data'] as const;

const DESCRIPTIONS: Readonly<Record<Deed, string>> = {
  activate: 'a ready card was handed to its member: from now on it pays',
  freeze: 'an active card pays no more until it is unfrozen',
  unfreeze: 'a frozen card pays again',
  retire: 'end a card for ever, without another',
  replace: 'end a card that is lost or broken, and order another for its member under a new number',
  redo: 'end a card whose chip is spoilt before its member had it, and order another under a new number',
};

function addIssue(cards: Command, deps: IssueCommandDeps): void {
  cards
    .command('issue')
    .description(
      'order cards and wait until they are made on an issuing kiosk; may be repeated: who has a card or waits for ' +
        'one gets no second; exit code 1 if the list has a fault or not all were made',
    )
    .addOption(
      new Option('--batch <file>', 'list of members: CSV with the header cooperative;member;name').conflicts('member'),
    )
    .option('--member <id>', 'one member, who is registered')
    .option('--labels <file>', 'write labels of the cards that are made: .html to print, .csv for a label printer')
    .option('--dry-run', 'only say what would be ordered, and what is wrong')
    .option('--no-wait', 'order only')
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((flags: IssueFlags, command: Command) => {
      if (flags.batch === undefined && flags.member === undefined)
        return command.error('error: name a list with --batch FILE, or one with --member ID');
      return withRegistry(deps, flags.data, (opened) => issue(deps, flags, opened));
    });
  cards
    .command('labels')
    .description("write labels of a list's cards, as far as they are made")
    .requiredOption('--batch <name>', "the list's name: its file's, without .csv")
    .requiredOption('--out <file>', 'file to make: .html to print, .csv for a label printer')
    .option(...data)
    .action((flags: LabelFlags) => withRegistry(deps, flags.data, (opened) => labels(deps, flags, opened)));
}

function addDeeds(cards: Command, deps: IssueCommandDeps): void {
  const { say, fail } = deps;
  const tell = (done: Done) => (done.ok ? say(done.said) : fail(done.error));
  const edges = realEdges(makeLog('warn'));
  for (const deed of DEEDS) {
    cards
      .command(deed)
      .description(DESCRIPTIONS[deed])
      .argument('<number>', 'number of the card')
      .option(...data)
      .action((number: string, flags: { readonly data: string }) =>
        withRegistry(deps, flags.data, ({ registry }) => tell(doDeed({ registry, ...edges }, number, deed))),
      );
  }
  cards
    .command('withdraw')
    .description('take back an order that has no chip yet')
    .argument('<number>', 'number of the order')
    .option(...data)
    .action((number: string, flags: { readonly data: string }) =>
      withRegistry(deps, flags.data, ({ registry }) => tell(withdraw(registry, number))),
    );
}

/** Adds the officers' commands to `cards`, which may be there already. */
export function addIssueCommands(root: Command, deps: IssueCommandDeps): void {
  const cards =
    root.commands.find((command) => command.name() === 'cards') ??
    root.command('cards').description('chips, from the box to the member');
  addIssue(cards, deps);
  cards
    .command('list')
    .description('list cards, and orders that wait for a chip')
    .addOption(new Option('--status <status>', 'of this status only').choices(LIST_STATUSES))
    .option('--json', 'one JSON object a line')
    .option(...data)
    .action((flags: ListFlags) => withRegistry(deps, flags.data, (opened) => list(deps, flags, opened)));
  addDeeds(cards, deps);
  cards
    .command('history')
    .description('every change of a key of a card, with its state; never a key')
    .argument('<card>', 'number of the card, or UID of the chip')
    .option('--json', 'one JSON object')
    .option(...data)
    .action((name: string, flags: HistoryFlags) =>
      withRegistry(deps, flags.data, (opened) => history(deps, name, flags, opened)),
    );
}

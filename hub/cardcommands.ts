/** `simpul-hub cards`: the command line around chips: a box of them on a reader, and readings of tags. */
import { type Command, InvalidArgumentError } from 'commander';
import { MAKER_KEYS } from '../cards/originality.ts';
import { type CardUid, PLATFORM } from '../protocol/ids.ts';
import { openCardReader, READER_COMMAND } from './cardreader.ts';
import type { HubPaths } from './config.ts';
import type { Edges } from './edges.ts';
import { type Note, prepareCards } from './preparecards.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import { makeAcceptTap, tapPartsOf } from './sun.ts';
import type { Vault } from './vault.ts';

/** What the commands are given by the command line. */
export interface CardCommandDeps {
  /** The vault of a data directory, or null after saying what is wrong. */
  readonly open: (data: string) => { paths: HubPaths; edges: Edges; vault: Vault } | null;
  readonly say: (text: string) => void;
  /** Says what failed, and makes the exit code 1. */
  readonly fail: (error: string) => void;
}

interface PrepareFlags {
  readonly data: string;
  readonly reader?: readonly string[];
  readonly count?: number;
  readonly json?: boolean;
}

function many(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000_000)
    throw new InvalidArgumentError('a count is 1 to 1000000');
  return value;
}

/** A line for the person with the box. */
function spell(note: Note, count: number | undefined): string {
  switch (note.state) {
    case 'ready':
      return `${note.reader} is ready: lay down one card after the other, each until its line comes; Ctrl-C ends it.`;
    case 'crowded':
      return 'More than one card lies on the reader: leave one there and take the others away.';
    case 'fault':
      return `The reader cannot be used for now: ${note.why}`;
    case 'card': {
      const { uid, counts } = note;
      if (note.result === 'prepared')
        return `${uid}  prepared (${counts.prepared}${count ? ` of ${count}` : ''}): the next`;
      if (note.result === 'already') return `${uid}  already prepared: the next`;
      const { failure } = note;
      const where = failure?.status ? ` (${failure.at}: ${failure.status})` : '';
      return `${uid}  ${note.result === 'again' ? 'not done' : 'put aside'}: ${note.why}${where}`;
    }
  }
}

/** Ends after the card in hand at the first signal; the second one ends the process as it always does. */
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

async function prepareBox({ open, say, fail }: CardCommandDeps, flags: PrepareFlags): Promise<void> {
  const { data, count, json } = flags;
  const ready = open(data);
  if (!ready) return;
  const { paths, edges, vault } = ready;
  const [file = READER_COMMAND[0], ...args] = flags.reader ?? READER_COMMAND;
  const registry = openRegistry({ path: paths.registry });
  const stop = stopAtSignal();
  const reader = openCardReader(edges, { command: [file, ...args] });
  try {
    // Key 0 has one master for all: the chip has no issuer yet.
    const keyring = (uid: CardUid) => vault.keyring(PLATFORM, uid);
    const deps = { ...edges, registry, keyring, newest: vault.versions().keyVersion, makers: MAKER_KEYS };
    const tell = (note: Note) => say(json ? JSON.stringify(note) : spell(note, count));
    const { counts, error } = await prepareCards(deps, reader, { count: count ?? null, stop: stop.signal, tell });
    const { prepared, already, aside } = counts;
    say(
      json
        ? JSON.stringify({ state: 'end', counts, error })
        : `${prepared} prepared, ${already} prepared before, ${aside} put aside.`,
    );
    if (error !== null)
      fail(`${error} What was begun is ended when the card is laid down again: run the command again`);
    else if (count !== undefined && prepared < count)
      fail(`stopped before ${count} were prepared; run the command again`);
  } finally {
    stop.off();
    await reader.close();
    registry.close();
  }
}

interface TapFlags {
  readonly data: string;
  readonly json?: boolean;
}

/** Uses the reading up: a phone that opens the same address afterwards is told that it is not fresh. */
function checkTap({ open, say, fail }: CardCommandDeps, address: string, { data, json }: TapFlags): void {
  const parts = tapPartsOf(address);
  if (parts === null) {
    fail('that is no address of a tag: give it whole, https://…?p=…&m=…, in quotes');
    return;
  }
  const ready = open(data);
  if (!ready) return;
  const { paths, edges, vault } = ready;
  const registry = openRegistry({ path: paths.registry });
  try {
    const fresh = makeAcceptTap({ ...edges, vault, registry })(parts);
    if (json) say(JSON.stringify({ fresh }));
    if (!fresh) fail('not fresh: read the tag again with a phone, and give that address');
    else if (!json) say('fresh');
  } finally {
    registry.close();
  }
}

/** Adds `cards` to the command line. */
export function addCardCommands(root: Command, deps: CardCommandDeps): void {
  const cards = root.command('cards').description('chips, from the box to the member');
  cards
    .command('prepare')
    .description(
      'give each chip that is laid on the reader at this host its own key 0; may be repeated; ' +
        'exit code 1 if the reader failed or fewer than --count were prepared',
    )
    .option('-d, --data <dir>', 'data directory', './hub-data')
    .option('--reader <command...>', `reader program (default: ${READER_COMMAND.join(' ')}, for PC/SC readers)`)
    .option('--count <n>', 'end when so many are prepared', many)
    .option('--json', 'one JSON object a line')
    .action((flags: PrepareFlags) => prepareBox(deps, flags));
  cards
    .command('tap')
    .description("whether a tag's reading by a phone is fresh, which uses it up; exit code 1 if not")
    .argument('<address>', 'what the tag gave the phone to open, in quotes')
    .option('-d, --data <dir>', 'data directory', './hub-data')
    .option('--json', 'the answer as one JSON object')
    .action((address: string, flags: TapFlags) => checkTap(deps, address, flags));
}

/** The bench: `npm run bench -- NAME [--quick] [--full] [--rounds N] [--json]` sets a thing beside its baselines. */
import { parseArgs } from 'node:util';
import { benchAuthorise } from './authorise.ts';
import { benchCard } from './card.ts';
import { benchLedger } from './ledger.ts';

export interface BenchOptions {
  /** Fewer cases, once each. */
  readonly quick: boolean;
  /** What takes a quarter of an hour and much of a disk, besides. */
  readonly full: boolean;
  /** How often all cases are gone through; the bench's own number when left out. */
  readonly rounds: number | undefined;
  /** One JSON object a line instead of a table. */
  readonly json: boolean;
  readonly print: (line: string) => void;
}

const benches: Readonly<Record<string, { readonly says: string; readonly run: (o: BenchOptions) => Promise<void> }>> = {
  authorise: { says: 'account sales end to end, beside echo, raw commit and commit per request', run: benchAuthorise },
  card: { says: 'taps from card event to certificate, beside empty card and physical floor', run: benchCard },
  ledger: { says: 'sales posted beside raw commits of the same rows, while the ledger grows', run: benchLedger },
};

const print = (line: string) => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const flag = { type: 'boolean', default: false } as const;
  const options = { quick: flag, full: flag, json: flag, rounds: { type: 'string' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [name = ''] = positionals;
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (bench === undefined || positionals.length > 1) {
    print(`${name === '' ? 'Name a bench' : `No bench is called ${positionals.join(' ')}`}. There are:`);
    for (const [known, { says }] of Object.entries(benches)) print(`  ${known}  ${says}`);
    print('Options: --quick (fewer cases, once each), --full (ledger: 10 million entries), --rounds N,');
    print('--json (one object a line)');
    return 2;
  }
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    print('--rounds takes a whole number from 1');
    return 2;
  }
  await bench.run({ quick: values.quick, full: values.full, rounds, json: values.json, print });
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

/** The bench: `npm run bench -- NAME [--quick] [--json]` measures one thing beside its baselines, in one run. */
import { parseArgs } from 'node:util';
import { benchAuthorise } from './authorise.ts';

export interface BenchOptions {
  /** Fewer cases, once each. */
  readonly quick: boolean;
  /** One JSON object a line instead of a table. */
  readonly json: boolean;
  readonly print: (line: string) => void;
}

const benches: Readonly<Record<string, { readonly says: string; readonly run: (o: BenchOptions) => Promise<void> }>> = {
  authorise: { says: 'account sales end to end, beside echo, raw commit and commit per request', run: benchAuthorise },
};

const print = (line: string) => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const options = { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [name = ''] = positionals;
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (bench === undefined || positionals.length > 1) {
    print(`${name === '' ? 'Name a bench' : `No bench is called ${positionals.join(' ')}`}. There are:`);
    for (const [known, { says }] of Object.entries(benches)) print(`  ${known}  ${says}`);
    print('Options: --quick (fewer cases, once each), --json (one object a line)');
    return 2;
  }
  await bench.run({ quick: values.quick, json: values.json, print });
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

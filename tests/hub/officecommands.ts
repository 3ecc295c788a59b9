/** Officers' commands as they run them: real processes on the directory of a hub that is stopped. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { hubPaths } from '../../hub/config.ts';
import type { Account } from '../../hub/rules/accounts.ts';
import type { Instruction } from '../../hub/rules/entries.ts';
import { auditFile } from '../../hub/store/sqlite/audit.ts';
import { openEngine } from '../../hub/store/sqlite/engine.ts';
import { repository } from '../town/repository.ts';
import { openWorld, type World } from './world.ts';

const BIN = join(repository(), 'hub/bin/simpul-hub.js');

export const BOTH = ['--officer', 'Ani Rahayu', 'Budi Santoso'] as const;

/** A town whose hub is stopped, with its books to look into. */
export interface Office {
  readonly world: World;
  run(...args: readonly string[]): { readonly code: number | null; readonly out: string; readonly err: string };
  /** Posts what happened before; each instruction under its own key. */
  post(origin: number, seq: number, instruction: Instruction, card?: string): void;
  /** Balances in rupiah, after a sound audit. */
  balances(...accounts: readonly Account[]): readonly number[];
}

export async function openOffice(): Promise<Office> {
  const world = await openWorld();
  await world.hub.close();
  const { ledger } = hubPaths(world.directory);
  const inBooks = <Value>(work: (engine: ReturnType<typeof openEngine>) => Value): Value => {
    const engine = openEngine({ path: ledger });
    try {
      return work(engine);
    } finally {
      engine.close();
    }
  };
  return {
    world,
    run(...args) {
      const all = [BIN, ...args, '--data', world.directory];
      const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
      return { code: status, out: stdout, err: stderr };
    },
    post(origin, seq, instruction, card) {
      const { amount } = instruction.figures;
      const { issuer = null, acquirer = null, outlet = null } = instruction.figures as unknown as Record<string, never>;
      const facts = { amount, card: (card ?? null) as never, issuer, acquirer, outlet };
      const verdict = { approve: instruction, guards: [] };
      const request = { key: { origin, seq }, hash: '', at: Date.now(), verdict, slot: null, facts, evidence: null };
      const [answer] = inBooks((engine) => engine.apply([{ do: 'post', request }]));
      if (answer?.kind !== 'decided' || !answer.receipt.includes('"outcome":"approved"')) {
        throw new Error(`not booked: ${JSON.stringify(answer)}`);
      }
    },
    balances(...accounts) {
      const { total, brokenPairs, brokenAccounts, brokenEntries } = auditFile(ledger);
      const broken = [...brokenPairs, ...brokenAccounts, ...brokenEntries];
      if (total !== 0n || broken.length > 0) throw new Error(`the books are broken: ${broken.join(', ')}`);
      return inBooks((engine) => engine.balances(accounts).map(Number));
    },
  };
}

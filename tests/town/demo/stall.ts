/** A stall of the demo: the shipped kiosk in a process of its own, with an emulated reader to lay cards on. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configPath } from '../../../kiosk/config.ts';
import { refusals } from '../../../protocol/refusals.ts';
import type { Card } from '../card.ts';
import { openEmulatedSlot } from '../emulatedslot.ts';
import { repository } from '../repository.ts';
import { lay } from '../vpicc.ts';

export interface Stall {
  readonly name: string;
  /** Types an amount, confirms it, lays the card down, and resolves with the last screen's first line. */
  sell(card: Card, amount: bigint): Promise<string>;
  close(): Promise<void>;
}

const PATIENCE_MS = 30_000;
const ENDED = /^\[(OK|X|!|\?)\]/;

/** Opens the stall whose kiosk was enrolled in `dir`. @param print shows one line of the kiosk's screen. */
export async function openStall(name: string, dir: string, print: (line: string) => void): Promise<Stall> {
  const slot = openEmulatedSlot();
  const settings = JSON.parse(readFileSync(configPath(dir), 'utf8')) as object;
  writeFileSync(
    configPath(dir),
    JSON.stringify({ ...settings, reader: { command: slot.reader.command }, log: 'warn' }),
  );
  const program = join(repository(), 'kiosk/bin/simpul-kiosk.js');
  const child = spawn(process.execPath, [program, 'run', '--dir', dir], { stdio: ['pipe', 'pipe', 'inherit'] });
  const seen: string[] = [];
  let wake = () => {};
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) print(line);
    seen.push(...lines);
    wake();
  });
  const screen = async (what: string, wanted: (line: string) => boolean): Promise<string> => {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const at = seen.findIndex(wanted);
      if (at >= 0) {
        const [line = ''] = seen.splice(0, at + 1).slice(-1);
        return line;
      }
      if (child.exitCode !== null) throw new Error(`the kiosk of ${name} ended with ${child.exitCode}`);
      if (performance.now() > until) throw new Error(`${name} did not show "${what}" in time: ${seen.join(' | ')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  await screen('Online', (line) => line.includes('Online'));
  return {
    name,
    async sell(card, amount) {
      seen.length = 0;
      child.stdin.write(`${amount}\n`);
      const limit = refusals['tap-limit'].id;
      const typed = await screen('confirm', (line) => line.includes('Tekan Enter') || line.includes(limit));
      if (typed.includes(limit)) {
        child.stdin.write('c\n');
        await screen('the next sale', (line) => line.startsWith('[>] Siap'));
        return typed.trim();
      }
      child.stdin.write('\n');
      await screen('tap', (line) => line.includes('Tap kartu'));
      const laid = lay(card, await slot.connect());
      const end = await screen('an answer', (line) => ENDED.test(line));
      await laid.remove();
      await screen('the next sale', (line) => line.startsWith('[>]') || line.startsWith('[ ]'));
      return end;
    },
    async close() {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      await gone;
      await slot.close();
    },
  };
}

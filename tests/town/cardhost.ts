/** Lays a card down that lives in a process of its own, and takes its memory back when that process has ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type CardImage, readImage, writeImage } from './cardimage.ts';
import type { CardPlace } from './cardprocess.ts';
import type { Trouble } from './field.ts';
import { ENVIRONMENT, type Pcscd, VPCD_PORT } from './pcscd.ts';

const PROGRAM = fileURLToPath(new URL('./cardprocess.js', import.meta.url));

export interface HostedCard {
  /** Ends the process if it still runs. @returns what its memory held */
  take(): Promise<CardImage>;
}

/**
 * Lays it on this pcscd's reader, where no other card lies.
 * @param path where the memory's image lies meanwhile @param trouble a tear is the death of the process
 */
export async function hostCard(path: string, image: CardImage, pcscd: Pcscd, trouble: Trouble): Promise<HostedCard> {
  writeImage(path, image);
  const [enter, ...args] = pcscd.inside;
  const child = spawn(enter, [...args, process.execPath, PROGRAM], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: ENVIRONMENT,
  });
  const over = once(child, 'exit');
  const lies = once(child, 'message');
  child.send({ port: VPCD_PORT, image: path, trouble } satisfies CardPlace);
  await Promise.race([
    lies,
    over.then(([code]) => {
      throw new Error(`the card's process ended with ${code} before it lay there`);
    }),
  ]);
  return {
    async take() {
      child.kill('SIGKILL');
      await over;
      return readImage(path);
    },
  };
}

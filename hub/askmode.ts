/** Asks on a terminal what kind of hub is to be made, where nobody said it before. */
import { createInterface } from 'node:readline/promises';
import { MODE_MISSING, readTown } from './init.ts';
import { HUB_MODES, type HubMode } from './rules/licence.ts';

/** The two ends of a terminal. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

export type AskedMode =
  | { readonly ok: true; readonly mode: HubMode | undefined }
  | { readonly ok: false; readonly error: string };

const TRIES = 3;

const AGAIN = 'demo or licensed? ';
const QUESTION = `What kind of hub is this?
  demo      a demonstration: everything is allowed, and no money in it is real
  licensed  each cooperative holds a licence, and does what it allows; every switch is off
            until the town file or two officers (simpul-hub licence set) say otherwise
Software is no licence.
${AGAIN}`;

/**
 * The mode that a flag or the town file says, or a person at the terminal; undefined leaves it to the town file. The
 * error says what to do where there is nobody to ask.
 */
export async function askMode(
  { mode, town }: { readonly mode?: HubMode | undefined; readonly town?: string | undefined },
  { input, output }: Terminal,
): Promise<AskedMode> {
  if (mode !== undefined) return { ok: true, mode };
  const read = readTown(town);
  if (!read.ok) return read;
  if (read.town.licence !== undefined) return { ok: true, mode: undefined };
  if (!input.isTTY || !output.isTTY) return { ok: false, error: MODE_MISSING };
  const lines = createInterface({ input, output });
  // A terminal that is closed (Ctrl-D, Ctrl-C) leaves the question open for ever.
  const closed = new Promise<null>((resolve) => lines.once('close', () => resolve(null)));
  try {
    for (let asked = 0; asked < TRIES; asked += 1) {
      const answer = await Promise.race([lines.question(asked === 0 ? QUESTION : AGAIN), closed]);
      if (answer === null) break;
      const said = HUB_MODES.find((name) => name === answer.trim().toLowerCase());
      if (said !== undefined) return { ok: true, mode: said };
    }
    return { ok: false, error: MODE_MISSING };
  } finally {
    lines.close();
  }
}

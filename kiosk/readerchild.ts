/** The reader program's side of the wire: says, hears, beats, and ends with the kiosk. */
import type { Readable, Writable } from 'node:stream';
import { lineCutter } from '../cards/readerlines.ts';
import { lineOf, readToReader, type ToReader } from '../protocol/readercommand.ts';
import type { FromReader } from '../protocol/readerwire.ts';

/** Often enough that a silent program can be told from an idle one. */
const BEAT_MS = 1000;

/** What a reader program needs from its process. */
export interface ReaderChildDeps {
  readonly input: Readable;
  readonly output: Writable;
  readonly timers: { setInterval(callback: () => void, ms: number): unknown };
  /** Called when the kiosk has closed its pipe, or writes what is no command: the program must end. */
  readonly end: (why: string) => void;
}

/** Serves the kiosk on the program's own pipes; the answer says one message to it. */
export function serveKiosk(deps: ReaderChildDeps, onApdu: (command: ToReader) => void): (message: FromReader) => void {
  const say = (message: FromReader): void => {
    deps.output.write(lineOf(message));
  };
  deps.output.on('error', () => deps.end('the kiosk no longer reads'));
  deps.input.on('end', () => deps.end('the kiosk closed the pipe'));
  deps.input.on('error', () => deps.end('the pipe from the kiosk broke'));
  deps.input.on(
    'data',
    lineCutter(
      (line) => {
        const command = readToReader(line);
        if (command) onApdu(command);
        else deps.end('the kiosk wrote a line that is no command');
      },
      () => deps.end('the kiosk wrote an endless line'),
    ),
  );
  deps.timers.setInterval(() => say({ type: 'beat' }), BEAT_MS);
  return say;
}

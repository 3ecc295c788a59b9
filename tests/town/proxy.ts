/** A delay proxy between kiosk and hub: it passes bytes on, or holds what one side says until it is let go or lost. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/** `up` is what the kiosk says, `down` what the hub says. */
type Way = 'up' | 'down';

export interface DelayProxy {
  /** Where the kiosk dials. */
  readonly port: number;
  /** From now on what is said this way stays here. It is lost when the connection ends meanwhile. */
  hold(way: Way): void;
  /** Bytes that wait here. */
  held(way: Way): number;
  /** From now on what is said arrives so many milliseconds later, each way, in the order in which it was said. */
  delay(ms: number): void;
  /** Ends every connection; what waits here is lost. */
  cut(): void;
  /** Passes on what waits, and everything after it. */
  release(): void;
  close(): Promise<void>;
}

/** One direction of one connection. */
interface Pipe {
  readonly way: Way;
  readonly to: Socket;
  readonly waiting: Buffer[];
}

const bytesOf = (chunks: readonly Buffer[]) => chunks.reduce((sum, { length }) => sum + length, 0);

const REDIAL_MS = 20;

/** Opens a proxy to this port of the loopback. While no hub is there a kiosk is let in and waits for its return. */
export async function openProxy(hubPort: number): Promise<DelayProxy> {
  const held = new Set<Way>();
  let delayMs = 0;
  const pipes = new Set<Pipe>();
  const sockets = new Set<Socket>();
  let closed = false;

  function join(way: Way, from: Socket, to: Socket): void {
    const pipe: Pipe = { way, to, waiting: [] };
    pipes.add(pipe);
    const pass = (chunk: Buffer) => {
      if (held.has(way)) pipe.waiting.push(chunk);
      else to.write(chunk);
    };
    // Timers of one length fire in the order in which they were set.
    from.on('data', (chunk: Buffer) => (delayMs > 0 ? setTimeout(pass, delayMs, chunk) : pass(chunk)));
    // Whatever ended one side, the other sees the connection close.
    from.on('close', () => {
      pipes.delete(pipe);
      to.end();
    });
  }

  function watched(socket: Socket): Socket {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    return socket;
  }

  async function serve(kiosk: Socket): Promise<void> {
    while (!closed && !kiosk.destroyed) {
      const hub = watched(connect(hubPort, '127.0.0.1'));
      const taken = await once(hub, 'connect').then(
        () => true,
        () => false,
      );
      if (taken) {
        join('down', hub, kiosk);
        join('up', kiosk, hub);
        return;
      }
      await wait(REDIAL_MS);
    }
  }

  // Nothing is read from a kiosk before the hub is there to hear it.
  const server = createServer({ pauseOnConnect: true }, (kiosk) => {
    void serve(watched(kiosk)).then(() => kiosk.resume());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    delay: (ms) => {
      delayMs = ms;
    },
    hold: (way) => void held.add(way),
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    held: (way) => [...pipes].reduce((sum, pipe) => sum + (pipe.way === way ? bytesOf(pipe.waiting) : 0), 0),
    release() {
      held.clear();
      for (const { waiting, to } of pipes) for (const chunk of waiting.splice(0)) to.write(chunk);
    },
    async close() {
      closed = true;
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

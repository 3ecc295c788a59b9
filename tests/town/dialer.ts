/** Program inside the namespace of a private pcscd: dials vpcd and hands the sockets out. */
// Runs inside a private pcscd's network namespace and dials its vpcd for the outside: a socket keeps the namespace
// it was
// made in, so the connected socket itself is handed over and no byte is relayed.
import { connect } from 'node:net';

const port = Number(process.argv[2]);

function dial(): void {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  // Nothing may be read here: it would be missing outside.
  socket.pause();
  socket.once('connect', () => process.send?.('connected', socket));
  socket.once('error', (error) => process.send?.(error.message));
}

process.on('message', dial);
process.on('disconnect', () => process.exit(0));
process.send?.('ready');

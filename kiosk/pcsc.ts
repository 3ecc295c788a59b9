/** Reader program for PC/SC readers: run as a child of the kiosk, it speaks the reader wire on stdin and stdout. */
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import type { NFC, Reader } from 'nfc-pcsc';
import { APDU_BYTES_MAX, sentence, type ToReader } from '../protocol/readercommand.ts';
import { serveKiosk } from './readerchild.ts';

/**
 * A card that PC/SC reports must be told to the kiosk, and a lost one must leave, within this time; else PC/SC
 * is opened anew.
 */
const STUCK_MS = 1_000;
/** PC/SC names its readers within a poll or two of 400 ms. */
const NO_READER_MS = 2_000;
const PCSC_FAILED = 'PC/SC failed';
const PCSC_CURE = 'It is opened again by itself; if this goes on: systemctl restart pcscd';
const NO_READER = 'No card reader is connected: plug it in. It is found by itself; if not, run pcsc_scan.';
const RETRY_MS = 200;
const RETRY_MS_MAX = 5_000;

/** PC/SC part 3 section 3.2.2.1.3, Get Data: the reader itself answers with the card's UID. */
const GET_UID = Buffer.from('ffca000000', 'hex');

/** One reader and the card on it. */
interface Station {
  readonly reader: Reader;
  /** Grows whenever a card comes or goes, so that late answers about an older card are dropped. */
  visit: number;
  /** The card told to the kiosk. */
  presence: number | undefined;
  stuck: NodeJS.Timeout | undefined;
  /** Commands go one after another: nfc-pcsc's own are unordered. */
  queue: Promise<void>;
}

/** One life of nfc-pcsc: after pcscd died only a new one recovers. */
interface Session {
  readonly nfc: NFC;
  readonly stations: Set<Station>;
  none: NodeJS.Timeout | undefined;
}

const load = createRequire(import.meta.url);
const say = serveKiosk(
  { input: process.stdin, output: process.stdout, timers: globalThis, end: () => process.exit(0) },
  forward,
);
let session: Session | undefined;
let presences = 0;
let failures = 0;

/** Opens PC/SC, now or after a back-off with full jitter. */
function open(): void {
  let Constructor: typeof NFC;
  try {
    Constructor = (load('nfc-pcsc') as { NFC: typeof NFC }).NFC;
  } catch {
    retry('nfc-pcsc is not installed: apt-get install -y libpcsclite-dev pcscd, then npm install');
    return;
  }
  // nfc-pcsc's constructor spins without end while no pcscd answers, beats and all: ask first.
  const probe = connect(process.env.PCSCLITE_CSOCK_NAME ?? '/run/pcscd/pcscd.comm');
  probe.once('connect', () => {
    probe.destroy();
    begin(Constructor);
  });
  probe.once('error', ({ message }) => {
    retry(`The PC/SC service cannot be reached (${message}). Is pcscd running? systemctl start pcscd`);
  });
}

function begin(Constructor: typeof NFC): void {
  let nfc: NFC;
  try {
    nfc = new Constructor();
  } catch (error) {
    retry(`${PCSC_FAILED} (${(error as Error).message}). ${PCSC_CURE}`);
    return;
  }
  const opened: Session = { nfc, stations: new Set(), none: undefined };
  session = opened;
  nfc.on('error', ({ message }) => reopen(opened, `${PCSC_FAILED} (${message}). ${PCSC_CURE}`));
  nfc.on('reader', (reader) => attach(opened, reader));
  opened.none = setTimeout(() => say({ type: 'fault', why: NO_READER }), NO_READER_MS);
}

function retry(why: string): void {
  say({ type: 'fault', why: sentence(why) });
  const ceiling = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** failures);
  failures = Math.min(failures + 1, 16);
  setTimeout(open, Math.random() * ceiling);
}

/** Drops this life of PC/SC with all its cards and starts the next. */
function reopen(old: Session, why: string): void {
  if (session !== old) return;
  session = undefined;
  clearTimeout(old.none);
  retry(why);
  for (const station of old.stations) clearTimeout(station.stuck);
  // Not within nfc-pcsc's own callback: there it holds the lock that closing waits for.
  setImmediate(() => {
    for (const part of [...[...old.stations].map(({ reader }) => reader), old.nfc]) {
      try {
        part.close();
      } catch {
        // pcscd is gone: nothing is left to close.
      }
    }
  });
}

function attach(owner: Session, reader: Reader): void {
  reader.autoProcessing = false;
  const station: Station = { reader, visit: 0, presence: undefined, stuck: undefined, queue: Promise.resolve() };
  reader.on('error', ({ message }) => reopen(owner, `${PCSC_FAILED} (${message}). ${PCSC_CURE}`));
  reader.on('end', () => detach(owner, station));
  reader.on('card', ({ atr }) => welcome(owner, station, atr));
  reader.on('card.off', () => leave(station));
  reader.reader.on('status', ({ state }) => {
    if ((state & reader.reader.SCARD_STATE_PRESENT) === 0) leave(station);
    else if (station.presence === undefined && station.stuck === undefined) watch(owner, station);
  });
  if (session !== owner) return;
  clearTimeout(owner.none);
  owner.stations.add(station);
  if (owner.stations.size === 1) say({ type: 'ready', name: sentence(reader.name).slice(0, 128) });
}

function detach(owner: Session, station: Station): void {
  leave(station);
  if (session === owner && owner.stations.delete(station) && owner.stations.size === 0) {
    say({ type: 'fault', why: NO_READER });
  }
}

/**
 * A failed connect is an event that nobody can name (nfc-pcsc uses the Error as the name), and a lost card may
 * stay: time tells.
 */
function watch(owner: Session, station: Station): void {
  clearTimeout(station.stuck);
  station.stuck = setTimeout(
    () => reopen(owner, 'The reader sees a card but cannot talk to it: take it away and hold it flat again.'),
    STUCK_MS,
  );
}

/** 'card.off' may come without 'card', and twice. */
function leave(station: Station): void {
  clearTimeout(station.stuck);
  station.stuck = undefined;
  station.visit += 1;
  if (station.presence !== undefined) say({ type: 'gone', presence: station.presence });
  station.presence = undefined;
}

/** Asks the reader for the card's UID and tells the kiosk; without a UID the watch goes on. */
function welcome(owner: Session, station: Station, atr: Buffer | undefined): void {
  station.visit += 1;
  const { visit } = station;
  enqueue(station, async () => {
    const answer = await exchange(station, GET_UID);
    if (session !== owner || station.visit !== visit || answer.subarray(-2).toString('hex') !== '9000') return;
    const uid = answer.subarray(0, -2).toString('hex');
    if (uid.length !== 8 && uid.length !== 14 && uid.length !== 20) return;
    clearTimeout(station.stuck);
    station.stuck = undefined;
    failures = 0;
    presences += 1;
    station.presence = presences;
    say({ type: 'card', presence: presences, uid, atr: (atr ?? Buffer.alloc(0)).subarray(0, 33).toString('hex') });
  });
}

function forward({ id, presence, hex }: ToReader): void {
  const owner = session;
  const station = owner && [...owner.stations].find((each) => each.presence === presence);
  if (!station) {
    say({ type: 'lost', id });
    return;
  }
  enqueue(station, async () => {
    const here = session === owner && station.presence === presence;
    const answer = here ? await exchange(station, Buffer.from(hex, 'hex')) : Buffer.alloc(0);
    if (answer.length >= 2) say({ type: 'reply', id, hex: answer.toString('hex') });
    else {
      say({ type: 'lost', id });
      if (session === owner && station.presence === presence) watch(owner, station);
    }
  });
}

function enqueue(station: Station, task: () => Promise<void>): void {
  station.queue = station.queue.then(task);
}

/** A torn card rejects on real readers and resolves empty on virtual ones: empty in both cases here. */
async function exchange(station: Station, command: Buffer): Promise<Buffer> {
  try {
    return await station.reader.transmit(command, APDU_BYTES_MAX);
  } catch {
    return Buffer.alloc(0);
  }
}

open();

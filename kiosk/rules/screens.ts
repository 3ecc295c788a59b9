/** What each state of the till shows: words (Indonesian first), one of three lights, a mark and a sound. */
import { registered } from '../../protocol/limits.ts';
import { spellRupiah } from '../../protocol/money.ts';
import { type Refusal, refusals } from '../../protocol/refusals.ts';
import { feeLines } from './feelines.ts';
import { type Obstacle, obstacle, obstacles } from './moves.ts';
import { notes } from './notes.ts';
import type { Note, Phase, Result, Till } from './sale.ts';

/** One sentence in both languages. */
export interface Words {
  readonly id: string;
  readonly en: string;
}

/** Green = paid, red = not paid or not working, yellow = busy or being checked. `none` while a person is awaited. */
export type Light = 'none' | 'green' | 'yellow' | 'red';
/** Played once when the screen appears; different for each light, because colour alone is no answer (EN 301 549). */
export type Sound = 'ok' | 'no' | 'busy' | 'doubt';

export interface Screen {
  /** Changes exactly when another screen appears; sounds are bound to it. */
  readonly name: string;
  readonly light: Light;
  /** Stands for the light where there is no colour. */
  readonly mark: string;
  readonly sound: Sound | null;
  readonly title: Words;
  readonly amount: string | null;
  readonly lines: readonly Words[];
  /** Short facts of the kiosk itself: connection, waiting sales. */
  readonly badges: readonly Words[];
  /** Which keys do something; the till's where left out. */
  readonly keys?: string;
}

export type Face = Omit<Screen, 'badges' | 'name'> & { readonly name?: string };

const MINUTE_MS = 60_000;

/**
 * Renders a till.
 * @param at the kiosk's monotonic clock, milliseconds
 */
export function view(till: Till, at: number): Screen {
  const face = till.help ? help : faceOf(till, at);
  return { name: till.help ? 'help' : till.phase.name, ...face, badges: badgesOf(till, at) };
}

const help: Face = {
  light: 'none',
  mark: '?',
  sound: null,
  title: { id: 'Bantuan', en: 'Help' },
  amount: null,
  lines: [
    { id: 'Angka = jumlah, Enter = setuju, c = batal', en: 'Digits = amount, Enter = confirm, c = cancel' },
    {
      id: 'Hijau = dibayar, merah = tidak, kuning = sedang dicek',
      en: 'Green = paid, red = not paid, yellow = checking',
    },
    { id: 'Kuning bukan "tidak": tunggu jawaban pusat', en: 'Yellow is not a "no": wait for the hub' },
  ],
};

function faceOf(till: Till, at: number): Face {
  const { phase } = till;
  switch (phase.name) {
    case 'booting':
      return { ...busy('Sedang disiapkan', 'Starting'), sound: null };
    case 'idle':
      return idle(till, phase, at);
    case 'typing':
      return {
        ...asking('Ketik jumlah', 'Type the amount'),
        amount: spellRupiah(BigInt(phase.digits)),
        lines: [...lines(phase.note), ...(phase.note === 'tap-limit' ? [limit] : [])],
      };
    case 'confirm':
      return confirm(till, phase, at);
    case 'minting':
      return { ...busy('Sebentar', 'One moment'), amount: spellRupiah(phase.amount), sound: null };
    case 'armed':
      return armed(till, phase, at);
    case 'keying':
    case 'reading':
      return {
        ...busy('Tahan kartu', 'Hold the card still'),
        name: 'reading',
        amount: spellRupiah(phase.sale.amount),
        lines: [{ id: 'Membaca kartu', en: 'Reading the card' }],
      };
    case 'waiting':
      return waiting(till, phase);
    case 'doubt':
      return doubt(till, phase);
    case 'finding':
    case 'looking':
      return {
        ...busy('Tahan kartu', 'Hold the card still'),
        name: 'looking',
        amount: spellRupiah(phase.sale.amount),
        lines: [{ id: 'Memeriksa pembayaran tadi', en: 'Checking the payment from before' }],
      };
    case 'closing':
      return closing(till, phase);
    case 'done':
      return done(phase.result);
  }
}

export const asking = (id: string, en: string): Face => ({
  light: 'none',
  mark: '>',
  sound: null,
  title: { id, en },
  amount: null,
  lines: [],
});

export const busy = (id: string, en: string): Face => ({
  ...asking(id, en),
  light: 'yellow',
  mark: '...',
  sound: 'busy',
});

function idle(till: Till, phase: Phase & { name: 'idle' }, at: number): Face {
  const why = obstacle(till, at);
  if (why === null) {
    return { ...asking('Siap. Ketik jumlah', 'Ready. Type the amount'), lines: lines(lasting(phase.note)) };
  }
  return { ...closed(till, why), name: `idle ${why}` };
}

/** The kiosk cannot take cards now. */
function closed(till: Till, why: Obstacle): Face {
  const fault = why === 'disk-down' || why === 'reader-down';
  const face = asking('Belum bisa menerima kartu', 'Cannot take cards now');
  const detail = why === 'reader-down' ? till.readerFault : till.diskFault;
  const technical = fault && detail !== null ? [{ id: detail, en: detail }] : [];
  return { ...face, light: fault ? 'red' : 'yellow', mark: fault ? '!' : '...', lines: [...lines(why), ...technical] };
}

/** Trouble of the kiosk itself comes and goes while a state stays: its note is not to be believed later. */
const lasting = (note: Note | null): Note | null => (obstacles.some((one) => one === note) ? null : note);

function confirm(till: Till, phase: Phase & { name: 'confirm' }, at: number): Face {
  const how = { id: 'Dari saldo anggota, tanpa PIN', en: 'From the account, no PIN' };
  const why = obstacle(till, at);
  const face = {
    ...asking('Benar? Tekan Enter', 'Correct? Press Enter'),
    amount: spellRupiah(phase.amount),
    lines: [...feeLines(till, phase.amount), how, ...lines(why)],
  };
  return phase.note === null || why === null ? face : { ...face, name: `confirm ${why}`, sound: 'no' };
}

function armed(till: Till, phase: Phase & { name: 'armed' }, at: number): Face {
  const amount = spellRupiah(phase.sale.amount);
  const why = obstacle(till, at);
  if (why !== null) return { ...closed(till, why), name: `armed ${why}`, sound: 'no', amount };
  const turnedAway = phase.note !== null && till.card !== null;
  const note = lasting(phase.note) ?? (turnedAway ? 'lift' : null);
  const face = {
    ...asking('Tap kartu di sini', 'Tap the card here'),
    amount,
    lines: [
      ...lines(note),
      ...feeLines({ ...till, prices: phase.sale.prices }, phase.sale.price),
      { id: 'Dari saldo anggota', en: 'From the account' },
    ],
  };
  return note === null ? face : { ...face, name: `armed ${note}`, light: 'red', mark: '!', sound: 'no' };
}

/** A trader need not wait for what cannot come: without a line the way out is said at once. */
function waiting(till: Till, phase: Phase & { name: 'waiting' }): Face {
  const late = phase.slow || !till.online;
  const away = { id: 'Kartu boleh diangkat', en: 'The card may leave' };
  const slow = {
    id: 'Pusat belum menjawab. Belum tentu gagal; c = batal',
    en: 'No answer yet. Not a "no"; c = cancel',
  };
  return {
    ...busy('Sedang dicek', 'Being checked'),
    name: late ? 'waiting long' : 'waiting',
    amount: spellRupiah(phase.sale.amount),
    lines: late ? [slow, away] : [away],
  };
}

function doubt(till: Till, phase: Phase & { name: 'doubt' }): Face {
  return {
    ...busy('Tap lagi kartu yang sama', 'Tap the same card again'),
    name: `doubt ${phase.note ?? ''}`,
    mark: '??',
    sound: 'doubt',
    amount: spellRupiah(phase.sale.amount),
    lines: [
      ...lines(till.readerFault === null ? phase.note : 'reader-down'),
      {
        id: 'Kartu diangkat terlalu cepat; pembayaran sedang dicek',
        en: 'Card left too soon; the payment is being checked',
      },
      { id: 'Tidak akan terbayar dua kali', en: 'It will not be charged twice' },
    ],
  };
}

function closing(till: Till, phase: Phase & { name: 'closing' }): Face {
  const late = phase.slow || !till.online;
  const gaveUp = phase.ask === 'cancel';
  const title = gaveUp ? busy('Sedang dibatalkan', 'Being cancelled') : busy('Sedang dicek', 'Being checked');
  const slow = { id: 'Pusat belum menjawab; Enter = lanjut melayani', en: 'No answer yet; Enter = serve others' };
  const again = { id: 'Belum terbayar; sebentar lagi tap ulang', en: 'Not charged; tap again in a moment' };
  return {
    ...title,
    name: late ? 'closing long' : 'closing',
    amount: spellRupiah(phase.sale.amount),
    lines: [...(phase.again ? [again] : []), ...(late ? [slow] : [])],
  };
}

function done(result: Result): Face {
  const amount = spellRupiah(result.amount);
  const name = `done ${result.seq} ${result.kind}`;
  if (result.kind === 'declined') {
    const title = { id: 'Tidak dibayar', en: 'Not paid' };
    const late = result.late ? [{ id: 'Pembayaran yang tadi dicek', en: 'The payment that was being checked' }] : [];
    return { name, light: 'red', mark: 'X', sound: 'no', title, amount, lines: [...late, refusalWords(result.reason)] };
  }
  const late = result.late
    ? [{ id: 'Pembayaran tadi, tidak ditagih lagi', en: 'The payment from before, not charged again' }]
    : [];
  const unpaid = result.ended === null ? [] : [newSaleEnded(result.ended)];
  const fee = result.fee > 0n ? [worth('Termasuk biaya', 'Fee included:', result.fee)] : [];
  const balance = result.balance === null ? [] : [worth('Saldo', 'Balance', result.balance)];
  const title = { id: 'Dibayar. Terima kasih', en: 'Paid. Thank you' };
  return {
    name,
    light: 'green',
    mark: 'OK',
    sound: 'ok',
    title,
    amount,
    lines: [...late, ...unpaid, ...balance, ...fee],
  };
}

const worth = (id: string, en: string, amount: bigint): Words => ({
  id: `${id} ${spellRupiah(amount)}`,
  en: `${en} ${spellRupiah(amount)}`,
});

const limit = worth('Paling banyak', 'At most', registered.pinAbove);

const newSaleEnded = (amount: bigint): Words => ({
  id: `Penjualan baru ${spellRupiah(amount)} belum dibayar: ketik lagi`,
  en: `The new sale of ${spellRupiah(amount)} is not paid: type it again`,
});

const refusalWords = (code: Refusal): Words => ({ id: refusals[code].id, en: refusals[code].en });

function lines(note: Note | null): Words[] {
  if (note === null) return [];
  return [Object.hasOwn(notes, note) ? notes[note as keyof typeof notes] : refusalWords(note as Refusal)];
}

function badgesOf(till: Till, at: number): Words[] {
  const badges: Words[] = [];
  if (till.phase.name !== 'booting') badges.push(contact(till, at));
  const waiting = till.pending.length + (till.phase.name === 'waiting' ? 1 : 0);
  if (waiting > 0) badges.push({ id: `${waiting} sedang dicek`, en: `${waiting} being checked` });
  const { length } = till.unshown;
  if (length > 0) {
    badges.push({ id: `${length} sudah dibayar: tap kartunya lagi`, en: `${length} paid: tap that card again` });
  }
  return badges;
}

/** Whether the hub is heard, and for how long it has not been. */
export function contact(till: Pick<Till, 'online' | 'hubOpen' | 'contactAt'>, at: number): Words {
  if (till.online && till.hubOpen) return { id: 'Terhubung', en: 'Online' };
  if (till.contactAt === null) return { id: 'Belum pernah terhubung', en: 'Never online yet' };
  const minutes = Math.floor((at - till.contactAt) / MINUTE_MS);
  const id = minutes < 1 ? 'kurang dari 1 menit' : `${minutes} menit`;
  const en = minutes < 1 ? 'less than a minute' : `${minutes} min`;
  return { id: `Terputus ${id}`, en: `Offline for ${en}` };
}

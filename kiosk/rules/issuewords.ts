/** What can go wrong with a card that is to be made: what happened, and the one thing to do next. */
import type { Refusal } from '../../protocol/refusals.ts';
import type { CardFailure } from '../../protocol/relay.ts';
import type { Obstacle } from './issuing.ts';
import type { RelayBreak } from './relayed.ts';

interface Words {
  readonly id: string;
  readonly en: string;
}

export const nexts = {
  again: {
    id: 'Letakkan lagi kartu yang sama: lanjut dari tempat berhenti',
    en: 'Lay the same card down again: it goes on where it stopped',
  },
  online: {
    id: 'Tunggu sampai terhubung, lalu letakkan lagi kartu yang sama',
    en: 'Wait until it is online, then lay the same card down again',
  },
  ready: {
    id: 'Tunggu sampai layar siap, lalu letakkan lagi kartu yang sama',
    en: 'Wait until the screen is ready, then lay the same card down again',
  },
  minute: { id: 'Tunggu satu menit, lalu letakkan lagi', en: 'Wait a minute, then lay it down again' },
  unprepared: {
    id: 'Taruh di kotak kartu yang belum disiapkan',
    en: 'Put it in the box of unprepared cards',
  },
  other: { id: 'Ambil kartu lain dari kotak', en: 'Take another card from the box' },
  aside: {
    id: 'Sisihkan, serahkan ke operator dengan nomor ini:',
    en: 'Put it aside, give it to the operator with this number:',
  },
  orders: { id: 'Minta operator memasukkan pesanan kartu', en: 'Ask the operator to place card orders' },
  call: { id: 'Berhenti dan panggil operator pusat', en: 'Stop and call the hub operator' },
} as const satisfies Record<string, Words>;
export type Next = keyof typeof nexts;

type Row = readonly [what: Words, next: Next];
const row = (next: Next, id: string, en: string): Row => [{ id, en }, next];

export const cardTroubles = {
  lost: row('again', 'Kartu diangkat terlalu cepat', 'The card left too soon'),
  garbled: row('again', 'Jawaban kartu tidak terbaca', "The card's answer could not be read"),
  refused: row('aside', 'Kartu menolak perintah', 'The card refused a command'),
  'wrong-key': row('aside', 'Kunci kartu tidak cocok', 'The card does not take its key'),
  delay: row('minute', 'Kartu minta jeda', 'The card asks to wait'),
  'not-ours': row('other', 'Bukan kartu untuk koperasi ini', 'Not a card for these cooperatives'),
  short: row('aside', 'Saldo di kartu tidak cukup', 'The card does not hold enough'),
  'not-genuine': row('aside', 'Kartu bukan buatan asli', 'The card is not genuine'),
  'not-prepared': row('unprepared', 'Kartu belum disiapkan', 'The card is not prepared'),
  'in-use': row('aside', 'Kartu ini sudah pernah dipakai', 'This card has been used already'),
  'other-version': row('aside', 'Kunci kartu dari versi lain', "The card's key is of another version"),
  'other-files': row('aside', 'Isi kartu bukan buatan koperasi', 'What is on the card was made by somebody else'),
} as const satisfies Record<CardFailure, Row>;

export const lineTroubles = {
  offline: row('online', 'Sambungan ke pusat terputus', 'The line to the hub broke'),
  silent: row('again', 'Pusat tidak menjawab', 'The hub did not answer'),
  gone: cardTroubles.lost,
  endless: row('call', 'Percakapan dengan pusat tidak berakhir', 'The conversation with the hub did not end'),
} as const satisfies Record<RelayBreak, Row>;

export const obstacleTroubles = {
  starting: row('ready', 'Sedang disiapkan', 'Starting'),
  'reader-down': row('ready', 'Pembaca kartu tidak siap', 'Card reader is not ready'),
  offline: row('online', 'Tidak terhubung ke pusat', 'Not connected to the hub'),
} as const satisfies Record<Obstacle, Row>;

/**
 * What happened is in `protocol/refusals.ts`; here is what to do with the card. Most are no answer to a card. One that
 * the hub never prepared has a key 0 all the same, so it is another hub's or a copy: the box would take it no better.
 */
export const refusalNexts = {
  'insufficient-funds': 'call',
  'tap-limit': 'call',
  'day-limit': 'call',
  'debit-cap': 'call',
  'too-soon': 'call',
  'payout-short': 'call',
  'reload-open': 'call',
  'reload-unreleased': 'call',
  'purse-full': 'call',
  'fare-uneven': 'call',
  'payee-unknown': 'call',
  'payee-foreign': 'call',
  'takings-owe': 'call',
  'receiver-unknown': 'call',
  'transfer-self': 'call',
  'pay-limit': 'call',
  'spend-day': 'call',
  'spend-month': 'call',
  'income-month': 'call',
  'balance-limit': 'call',
  'pin-due': 'call',
  'purse-empty': 'call',
  'drain-open': 'aside',
  'not-licensed': 'call',
  'members-only': 'call',
  'card-unknown': 'aside',
  'card-blocked': 'aside',
  'certificate-invalid': 'aside',
  'certificate-malformed': 'aside',
  'slot-taken': 'aside',
  'card-not-prepared': 'aside',
  expired: 'again',
  cancelled: 'again',
  'outlet-closed': 'call',
  'message-malformed': 'call',
  'version-unknown': 'call',
  'topic-unknown': 'call',
  'body-differs': 'call',
  'not-yours': 'call',
  'key-quota': 'call',
  'hub-busy': 'minute',
  'not-allowed': 'call',
  'nothing-to-issue': 'orders',
  'talk-lost': 'again',
  'drawer-short': 'call',
  'float-short': 'call',
  'teller-unknown': 'call',
  'approval-needed': 'call',
  'bank-short': 'call',
  'biller-short': 'call',
  'nothing-owed': 'call',
  'nothing-waits': 'call',
  'budget-spent': 'call',
  'payment-unknown': 'call',
  'refund-exceeds': 'call',
  'dispute-exists': 'call',
  'dispute-none': 'call',
  'bill-refused': 'call',
  'product-unknown': 'call',
  'bill-none': 'call',
  'biller-silent': 'call',
  'bill-changed': 'call',
  'hold-expired': 'call',
  'pin-needed': 'call',
  'hold-unknown': 'call',
  'hold-unreleased': 'call',
  'hold-released': 'call',
  'tariff-differs': 'call',
  'tariffs-unknown': 'call',
  'tariffs-gone-back': 'call',
} as const satisfies Record<Refusal, Next>;

/** Every reason to say no: its number, its words for the member and the teller, and whether trying again helps. */

/** What the person at the kiosk may do next: nothing more, the same request again later, or a new sale. */
export type Retry = 'never' | 'later' | 'new-sale';

interface RefusalWords {
  /** Number on printed receipts and in logs; never reused, also when a row is retired. */
  readonly no: number;
  readonly id: string;
  readonly en: string;
  /** What the teller or technician should know or do. */
  readonly teller: string;
  readonly retry: Retry;
}

/**
 * Decisions first (1xx money, 2xx card, 3xx kiosk and freshness), then messages that reached no decision (9xx). Only
 * `pin-needed` is both: a withdrawal waits for its PIN, a sale without one is declined.
 */
export const refusals = {
  'insufficient-funds': row(
    101,
    'Saldo tidak cukup',
    'Not enough balance',
    'Member may deposit at any counter.',
    'new-sale',
  ),
  'tap-limit': row(
    102,
    'Melebihi batas sekali bayar tanpa PIN',
    'Over the no-PIN limit per payment',
    'Split the sale or pay cash; PIN payments come later.',
    'new-sale',
  ),
  'day-limit': row(
    103,
    'Melebihi batas harian tanpa PIN',
    'Over the daily no-PIN limit',
    'Member may pay again tomorrow, or in cash.',
    'new-sale',
  ),
  'debit-cap': row(
    104,
    'Koperasi anggota sedang dibatasi',
    "The member's cooperative is at its limit",
    "Officers: the net debit cap of the card's cooperative is used up.",
    'later',
  ),
  'too-soon': row(
    105,
    'Baru saja membayar di sini, tunggu satu menit',
    'Just paid here, wait a minute',
    'One payment per card and kiosk a minute without PIN.',
    'new-sale',
  ),
  'payout-short': row(
    106,
    'Dana lapak tidak cukup',
    "The outlet's takings do not cover it",
    'Nothing was moved; officers decide.',
    'later',
  ),
  'reload-open': row(
    107,
    'Isi saldo sebelumnya masih diperiksa',
    'An earlier reload is still being checked',
    'Let the member pay once from the account: that tap tells what became of it.',
    'later',
  ),
  'reload-unreleased': row(
    108,
    'Isi saldo ini tidak pernah disiapkan',
    'This reload was never prepared',
    'Nothing was moved; call the hub operator.',
    'never',
  ),
  'purse-full': row(
    109,
    'Melebihi isi saldo kartu terbesar',
    'More than the card may hold',
    'Load less, or let the member spend from the card first.',
    'new-sale',
  ),
  'drawer-short': row(
    121,
    'Uang tunai di laci tidak cukup',
    'Not enough cash in the drawer',
    'By the books, less what other withdrawals wait for: bring cash, or count the drawer.',
    'new-sale',
  ),
  'float-short': row(
    122,
    'Dana loket untuk penarikan sudah habis',
    'The float of this counter is used up',
    'Officers: fund the counter. Deposits raise its float too.',
    'new-sale',
  ),
  'teller-unknown': row(
    123,
    'Kartu teller tidak berlaku di sini',
    'The teller’s card does not serve here',
    'It must be active, of the cooperative of this counter, and not the customer’s own.',
    'new-sale',
  ),
  'approval-needed': row(
    124,
    'Perlu persetujuan orang kedua',
    'A second person must approve',
    'Over the limit of one teller: a colleague lays down a card too, neither the teller’s nor the customer’s.',
    'new-sale',
  ),
  'hold-expired': row(
    125,
    'Waktu habis, tidak ada yang ditarik',
    'Too late, nothing was withdrawn',
    'Hand out no cash; start again.',
    'new-sale',
  ),
  'bank-short': row(
    145,
    'Saldo bank koperasi tidak cukup',
    'The cooperative’s money at the bank does not cover it',
    'By the books: enter what was paid in first.',
    'new-sale',
  ),
  'biller-short': row(
    146,
    'Deposit di penyedia tagihan habis',
    'The deposit at the biller is used up',
    'Officers: top the deposit up.',
    'new-sale',
  ),
  'nothing-owed': row(
    147,
    'Tidak ada yang terutang sebanyak itu',
    'Nothing of that amount is owed',
    'Look at the account first.',
    'new-sale',
  ),
  'nothing-waits': row(
    148,
    'Tidak ada uang yang menunggu sebanyak itu',
    'No money of that amount waits',
    'Look at the account first.',
    'new-sale',
  ),
  'budget-spent': row(
    149,
    'Anggaran hadiah sudah habis',
    'The budget for rewards is spent',
    'The payment itself stands; officers may set more aside.',
    'new-sale',
  ),
  'payment-unknown': row(
    150,
    'Pembayaran itu tidak ditemukan',
    'That payment is not known',
    'Nothing was paid under this number, it is not of this cooperative, or it cannot be taken back.',
    'new-sale',
  ),
  'refund-exceeds': row(
    151,
    'Melebihi sisa pembayaran itu',
    'More than is left of that payment',
    'Refunds, voids and disputes of one payment together never exceed it.',
    'new-sale',
  ),
  'dispute-exists': row(
    152,
    'Pembayaran itu sudah disanggah',
    'That payment is or was in dispute',
    'Each payment is disputed once. What is new goes to the officers.',
    'new-sale',
  ),
  'dispute-none': row(
    153,
    'Tidak ada sanggahan yang terbuka',
    'No dispute is open',
    'It has ended, or a refund has settled it.',
    'new-sale',
  ),
  'bill-refused': row(
    154,
    'Tagihan tidak jadi dibayar',
    'The bill was not paid',
    'The biller refused it: nothing left the account; cash goes back to the customer.',
    'new-sale',
  ),
  'purse-empty': row(
    110,
    'Kartu tidak berisi saldo',
    'The card held nothing',
    'Nothing had to go back to the account.',
    'never',
  ),
  'drain-open': row(
    111,
    'Saldo kartu ini masih diperiksa',
    'What this card held is still being checked',
    'An alarm was raised: keep the card and call the hub operator.',
    'never',
  ),
  'tariff-differs': row(
    130,
    'Biaya berbeda dari yang ditunjukkan',
    'Another fee was shown than applies',
    'Nobody was charged. Start again: the kiosk fetches the tariffs in force when it connects.',
    'new-sale',
  ),
  'tariffs-unknown': row(
    131,
    'Daftar biaya ini tidak dikenal pusat',
    'The hub never made these tariffs',
    'An alarm was raised: hub and kiosk are not of one town, or the hub was restored. Call the hub operator.',
    'never',
  ),
  'tariffs-gone-back': row(
    132,
    'Daftar biaya kiosk ini mundur',
    'The tariffs of this kiosk went back',
    'An alarm was raised: the kiosk was restored from a copy. Enrol it anew.',
    'never',
  ),
  'not-licensed': row(
    135,
    'Koperasi belum berizin untuk ini',
    'The cooperative has no licence for this',
    'Officers: a switch of one of the two cooperatives is off: simpul-hub licence show.',
    'new-sale',
  ),
  'members-only': row(
    136,
    'Koperasi ini hanya melayani anggota',
    'This cooperative serves members only',
    'What the account holds may still be spent and withdrawn. Officers: simpul-hub licence show.',
    'never',
  ),
  'pay-limit': row(
    138,
    'Melebihi batas sekali bayar anggota',
    'Over the member’s limit per payment',
    'A smaller amount, or cash. Members choose lower limits themselves.',
    'new-sale',
  ),
  'spend-day': row(
    139,
    'Melebihi batas harian anggota',
    'Over the member’s limit for today',
    'A smaller amount, or again tomorrow. Withdrawals that wait count too.',
    'new-sale',
  ),
  'spend-month': row(
    140,
    'Melebihi batas bulanan anggota',
    'Over the member’s limit for this month',
    'A smaller amount, or again next month. Withdrawals that wait count too.',
    'new-sale',
  ),
  'income-month': row(
    141,
    'Melebihi batas uang masuk bulan ini',
    'Over the member’s limit for incoming money this month',
    'A smaller amount, or again next month.',
    'new-sale',
  ),
  'balance-limit': row(
    142,
    'Melebihi saldo terbesar yang diizinkan',
    'More than the account may hold',
    'A smaller amount, or let the member spend first.',
    'new-sale',
  ),
  'pin-due': row(
    143,
    'Perlu PIN: sudah banyak dibayar tanpa PIN',
    'PIN needed: much was paid without it',
    'Pay with PIN where there is a keypad, or withdraw at a counter: a right PIN starts the sum anew.',
    'new-sale',
  ),
  'card-unknown': row(
    201,
    'Kartu tidak terdaftar',
    'Card not registered',
    'Issue or register the card at a counter.',
    'never',
  ),
  'card-blocked': row(
    202,
    'Kartu diblokir',
    'Card is blocked',
    'Member must go to a counter of the home cooperative.',
    'never',
  ),
  'certificate-invalid': row(
    203,
    'Kartu tidak terbukti asli',
    'The card could not be verified',
    'Tap again; if it repeats, keep the receipt number and call the hub.',
    'new-sale',
  ),
  'certificate-malformed': row(
    204,
    'Bukti kartu tidak sesuai',
    'The card certificate does not fit the sale',
    'Kiosk fault: call the hub operator.',
    'new-sale',
  ),
  'slot-taken': row(
    205,
    'Tap ini sudah pernah dipakai',
    'This tap was already used',
    'An alarm was raised; do not hand over goods for it.',
    'new-sale',
  ),
  expired: row(
    301,
    'Terlambat: ulangi penjualannya',
    'Too late: start the sale again',
    'The tap was older than 60 s when it reached the hub; nobody was charged.',
    'new-sale',
  ),
  cancelled: row(
    302,
    'Dibatalkan, tidak ada yang dibayar',
    'Cancelled, nobody was charged',
    'The sale is closed for good.',
    'new-sale',
  ),
  'card-not-prepared': row(
    206,
    'Kartu belum disiapkan',
    'The card is not prepared',
    'Prepare it at the hub first: simpul-hub cards prepare.',
    'never',
  ),
  'outlet-closed': row(
    303,
    'Lapak ini sedang tidak aktif',
    'This outlet is not active',
    'Officers: the outlet is closed in the registry.',
    'never',
  ),
  'message-malformed': row(
    901,
    'Pesan tidak dapat dibaca',
    'Message could not be read',
    'Kiosk fault: see the detail in the log.',
    'never',
  ),
  'version-unknown': row(
    902,
    'Versi tidak dikenal',
    'Unknown protocol version',
    'Update the kiosk or the hub.',
    'never',
  ),
  'topic-unknown': row(903, 'Alamat pesan salah', 'Message to a wrong topic', 'An alarm was raised.', 'never'),
  'body-differs': row(
    904,
    'Permintaan sama, isi berbeda',
    'Same request, different content',
    'An alarm was raised; nobody was paid.',
    'never',
  ),
  'not-yours': row(905, 'Bukan milik kiosk ini', 'Not from this kiosk', 'An alarm was raised.', 'never'),
  'key-quota': row(
    906,
    'Terlalu banyak kartu baru',
    'Too many new cards',
    'The quota of card keys for this kiosk is used up; an alarm was raised.',
    'later',
  ),
  'hub-busy': row(
    907,
    'Pusat sedang sibuk',
    'The hub is busy',
    'Nothing was decided; the kiosk asks again by itself.',
    'later',
  ),
  'not-allowed': row(
    908,
    'Tidak diizinkan di kiosk ini',
    'Not allowed at this kiosk',
    'An alarm was raised. Enrol the kiosk for this work: simpul-hub sign --role.',
    'never',
  ),
  'nothing-to-issue': row(
    909,
    'Tidak ada kartu yang harus dibuat',
    'No card waits to be made',
    'Place orders first: simpul-hub cards issue.',
    'later',
  ),
  'talk-lost': row(
    910,
    'Percakapan kartu terputus',
    'The conversation with the card was cut',
    'Lay the card down again: it goes on where it stopped.',
    'later',
  ),
  'pin-needed': row(921, 'PIN belum diperiksa', 'The PIN was not verified', 'Ask the member for the PIN.', 'later'),
  'hold-unknown': row(
    922,
    'Penarikan ini tidak dikenal',
    'This withdrawal is not known',
    'Hand out no cash. If cash was handed out, count the drawer and call the hub operator.',
    'never',
  ),
  'hold-unreleased': row(
    923,
    'Uang belum boleh diserahkan',
    'The cash may not be handed out yet',
    'An alarm was raised. If cash was handed out, count the drawer and call the hub operator.',
    'later',
  ),
  'hold-released': row(
    924,
    'Uang sudah boleh diserahkan',
    'The cash may have been handed out already',
    'Hand it out and say so; otherwise count the drawer: two officers end it (simpul-hub holds).',
    'never',
  ),
} as const satisfies Record<string, RefusalWords>;

function row(no: number, id: string, en: string, teller: string, retry: Retry): RefusalWords {
  return { no, id, en, teller, retry };
}

/** The name of a reason to say no. */
export type Refusal = keyof typeof refusals;

export const refusalNames = Object.keys(refusals) as Refusal[];

/** The till's own words beside a state; the hub's reasons are in `protocol/refusals.ts`. */

interface Words {
  readonly id: string;
  readonly en: string;
}

export const notes = {
  'key-late': { id: 'Belum terhubung ke pusat, tap lagi', en: 'No answer from the hub yet, tap again' },
  torn: { id: 'Belum terbayar. Tap lagi, tahan kartu', en: 'Not charged. Tap again and hold the card still' },
  foreign: { id: 'Bukan kartu koperasi', en: 'Not a cooperative card' },
  stopped: { id: 'Kartu perlu diperiksa di loket', en: 'Card needs service at a counter' },
  delay: { id: 'Kartu minta jeda, tunggu lalu tap lagi', en: 'The card asks to wait, then tap again' },
  refused: { id: 'Kartu menolak, tap lagi', en: 'The card refused, tap again' },
  lift: { id: 'Angkat kartu dulu', en: 'Take the card away first' },
  stale: { id: 'Menunggu sinyal pusat, belum bisa membayar', en: 'Waiting for the hub, cannot pay yet' },
  offline: { id: 'Tidak terhubung ke pusat', en: 'Not connected to the hub' },
  'reader-down': { id: 'Pembaca kartu tidak siap', en: 'Card reader is not ready' },
  'disk-down': { id: 'Penyimpanan rusak atau penuh, panggil teknisi', en: 'Disk is full or broken, call a technician' },
  starting: { id: 'Sedang disiapkan', en: 'Starting' },
  unfinished: { id: 'Pembayaran kartu ini masih dicek', en: "This card's last payment is still being checked" },
  'other-card': { id: 'Tap kartu yang tadi', en: 'Tap the same card as before' },
  forgotten: { id: 'Penjualan ditutup: tidak ada kartu', en: 'Sale closed: no card came' },
  'amount-needed': { id: 'Ketik jumlah dulu', en: 'Type an amount first' },
} as const satisfies Record<string, Words>;

export type NoteName = keyof typeof notes;

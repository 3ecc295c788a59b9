/** Sales that did not end at once: torn commits, given-up sales, restarts. */
import { describe, expect, it } from 'vitest';
import {
  armed,
  CERTIFICATE,
  cancelled,
  declined,
  doubtful,
  drill,
  INTENT,
  lookedAt,
  OTHER,
  reading,
  sealed,
  seqOf,
  typesOf,
  UID,
  waiting,
} from './drill.ts';

const others = ['a', 'b', 'c'].map((digit) => digit.repeat(32)).join('');
const withOurs = others + INTENT.record;
const withoutOurs = others + 'd'.repeat(32);

describe('a card torn after the commit was sent', () => {
  it('is told to tap again: it is being checked, and not charged twice', () => {
    const screen = doubtful().screen();
    expect(screen).toMatchObject({ light: 'yellow', sound: 'doubt' });
    expect(screen.title).toEqual({ id: 'Tap lagi kartu yang sama', en: 'Tap the same card again' });
    expect(screen.lines.map(({ en }) => en)).toContain('It will not be charged twice');
  });

  it('whose record is the newest is paid for with the certificate it kept', () => {
    const effects = lookedAt(doubtful(), INTENT.tmc + 1, withOurs);
    expect(effects.find(({ type }) => type === 'send')).toMatchObject({ body: { seq: 1, claim: { ...CERTIFICATE } } });
  });

  it('that did not commit ends the old number at the hub, then starts the same amount under a new one', () => {
    const till = doubtful();
    expect(lookedAt(till, INTENT.tmc, others)).toContainEqual({ type: 'ask', seq: 1, ask: 'resolve' });
    expect(till.till.phase).toMatchObject({ name: 'closing', again: true });
    const effects = till.on({ type: 'answer', ask: 'resolve', sealed: cancelled(1), voided: false });
    expect(effects).toContainEqual({ type: 'mint', amount: 25_000n, mode: 'account' });
    till.on({ type: 'minted', seq: seqOf(2) });
    expect(till.till.phase).toMatchObject({ name: 'armed', sale: { seq: 2, amount: 25_000n } });
  });

  it('that cannot tell leaves the word to the hub, and starts nothing again', () => {
    const till = doubtful();
    lookedAt(till, INTENT.tmc + 6, withoutOurs);
    expect(till.till.phase).toMatchObject({ name: 'closing', ask: 'resolve', again: false });
    till.on({ type: 'answer', ask: 'resolve', sealed: cancelled(1), voided: false });
    expect(till.screen().lines).toEqual([
      { id: 'Dibatalkan, tidak ada yang dibayar', en: 'Cancelled, nobody was charged' },
    ]);
  });

  it('torn again while it is looked at is still in doubt, and nobody says "not charged"', () => {
    const till = doubtful();
    till.on({ type: 'card', presence: 2, uid: UID });
    till.on({ type: 'card-key', uid: UID, state: 'held' });
    till.on({ type: 'looked', seq: seqOf(1), presence: 2, looked: { kind: 'torn' } });
    expect(till.till.phase).toMatchObject({ name: 'doubt', note: null });
  });

  it('that left before its key was refused is in doubt as before, and the key is not tried again', () => {
    const till = doubtful();
    till.on({ type: 'card', presence: 2, uid: UID });
    till.on({ type: 'card-key', uid: UID, state: 'held' });
    till.on({ type: 'gone', presence: 2 });
    const effects = till.on({ type: 'looked', seq: seqOf(1), presence: 2, looked: { kind: 'wrong-key' } });
    expect(effects).toEqual([{ type: 'forget-key', uid: UID }]);
    expect(till.till.phase).toMatchObject({ name: 'doubt', note: null });
  });

  it('does not take another card in its place', () => {
    const till = doubtful();
    till.on({ type: 'card', presence: 2, uid: OTHER });
    expect(till.till.phase).toMatchObject({ name: 'doubt', note: 'other-card' });
  });

  it('that does not return within a minute is ended by asking the hub', () => {
    const till = doubtful();
    expect(till.on({ type: 'timer', id: 'doubt' })).toContainEqual({ type: 'ask', seq: 1, ask: 'resolve' });
    expect(till.screen().light).toBe('yellow');
  });

  it('back at once, before the till knew of the tear, is looked at', () => {
    const till = reading();
    till.on({ type: 'gone', presence: 1 });
    till.on({ type: 'card', presence: 2, uid: UID });
    till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid: { kind: 'doubt', intent: INTENT } });
    expect(till.till.phase.name).toBe('finding');
  });
});

describe('a sale the trader gives up while the hub decides', () => {
  it('is closed on disk before the hub is asked, and never sent again', () => {
    const till = waiting();
    const types = typesOf(till.press('cancel'));
    expect(types.indexOf('close')).toBeLessThan(types.indexOf('ask'));
    const later = [
      ...till.on({ type: 'timer', id: 'retry' }),
      ...till.on({ type: 'link', online: false }),
      ...till.on({ type: 'link', online: true }),
      ...till.on({ type: 'timer', id: 'ask 1' }),
    ];
    expect(typesOf(later)).not.toContain('send');
    expect(typesOf(later).filter((type) => type === 'ask')).toHaveLength(2);
  });

  it('shows no green for an approval that crossed the question', () => {
    const till = waiting();
    till.press('cancel');
    expect(typesOf(till.on({ type: 'receipt', sealed: sealed(1) }))).toEqual([]);
    till.on({ type: 'answer', ask: 'cancel', sealed: sealed(1), voided: true });
    expect(till.screen()).toMatchObject({ light: 'red', title: { en: 'Not paid' } });
  });

  it('that the hub could not void any more is paid, and says so', () => {
    const till = waiting();
    till.press('cancel');
    till.on({ type: 'answer', ask: 'cancel', sealed: sealed(1), voided: false });
    expect(till.screen().light).toBe('green');
  });

  it('lets others be served meanwhile, but not the same card', () => {
    const till = waiting();
    till.press('cancel', 'enter');
    expect(till.till.phase.name).toBe('idle');
    expect(till.screen().badges).toContainEqual({ id: '1 sedang dicek', en: '1 being checked' });
    armed(till, 2);
    till.on({ type: 'card', presence: 2, uid: UID });
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'unfinished' });
    till.on({ type: 'gone', presence: 2 });
    till.on({ type: 'card', presence: 3, uid: OTHER });
    expect(till.till.phase.name).toBe('keying');
    till.on({ type: 'answer', ask: 'cancel', sealed: cancelled(1), voided: false });
    expect(till.till.pending).toEqual([]);
  });

  it('is asked about again and again, a minute apart at most', () => {
    const till = waiting();
    till.press('cancel');
    for (let i = 0; i < 20; i++) {
      const effects = till.on({ type: 'timer', id: 'ask 1' });
      expect(effects).toContainEqual({ type: 'ask', seq: 1, ask: 'cancel' });
      expect(effects).toContainEqual({ type: 'timer', id: 'ask 1', afterMs: Math.min(60_000, 2_000 * 2 ** (i + 1)) });
    }
  });
});

describe('after a restart', () => {
  const found = (ask: 'resolve' | 'cancel') =>
    drill({ type: 'booted', recovered: [{ seq: seqOf(4), amount: 25_000n, uid: UID, ask }], unshown: [] });

  it('every unfinished sale is asked about and none is sent again', () => {
    const till = drill({ type: 'booted', recovered: [], unshown: [] });
    till.on({
      type: 'booted',
      recovered: [4, 5].map((seq) => ({ seq: seqOf(seq), amount: 1n, uid: null, ask: 'resolve' as const })),
      unshown: [],
    });
    const asked = till.on({ type: 'link', online: true }).filter(({ type }) => type === 'ask');
    expect(asked).toEqual([
      { type: 'ask', seq: 4, ask: 'resolve' },
      { type: 'ask', seq: 5, ask: 'resolve' },
    ]);
  });

  it('a sale that was paid shows its green light when the card returns, and sells nothing', () => {
    const till = found('resolve');
    expect(typesOf(till.on({ type: 'answer', ask: 'resolve', sealed: sealed(4), voided: false }))).not.toContain(
      'green',
    );
    expect(till.screen().badges).toContainEqual({
      id: '1 sudah dibayar: tap kartunya lagi',
      en: '1 paid: tap that card again',
    });
    armed(till, 5);
    const effects = till.on({ type: 'card', presence: 1, uid: UID });
    expect(effects).toContainEqual({ type: 'green', seq: 4 });
    expect(effects).toContainEqual({ type: 'drop', seq: 5 });
    expect(till.screen()).toMatchObject({ light: 'green', amount: 'Rp 25.000' });
    expect(till.screen().lines[0]?.en).toBe('The payment from before, not charged again');
    till.on({ type: 'gone', presence: 1 });
    till.on({ type: 'card', presence: 2, uid: UID });
    expect(till.till.unshown).toEqual([]);
  });

  it('a card on the reader when its answer comes sees its green light at once, and pays no second time', () => {
    const till = found('resolve');
    till.on({ type: 'card', presence: 1, uid: UID });
    const effects = till.on({ type: 'answer', ask: 'resolve', sealed: sealed(4), voided: false });
    expect(typesOf(effects)).toEqual(expect.arrayContaining(['keep', 'green']));
    expect(till.screen()).toMatchObject({ light: 'green', amount: 'Rp 25.000' });
    armed(till, 5);
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'lift' });
  });

  it('a card laid down while another is served sees its green light before it is asked to pay', () => {
    const till = found('resolve');
    waiting(reading(armed(till, 5), 1, OTHER), 5);
    till.on({ type: 'card', presence: 2, uid: UID });
    till.on({ type: 'answer', ask: 'resolve', sealed: sealed(4), voided: false });
    expect(till.till.phase.name).toBe('waiting');
    till.press('cancel', 'enter');
    expect(typesOf(armed(till, 6).on({ type: 'timer', id: 'tick' }))).not.toContain('pay');
    expect(till.screen()).toMatchObject({ light: 'green', amount: 'Rp 25.000' });
    expect(till.screen().lines[1]?.id).toBe('Penjualan baru Rp 25.000 belum dibayar: ketik lagi');
  });

  it('a green light that was kept but not journaled as shown is shown when the card returns', () => {
    const owed = { seq: seqOf(3), amount: 9_000n, fee: 0n, balance: 1_000n, uid: UID };
    const till = drill({ type: 'booted', recovered: [], unshown: [owed] });
    expect(till.on({ type: 'card', presence: 1, uid: UID })).toContainEqual({ type: 'green', seq: 3 });
    expect(till.screen()).toMatchObject({ light: 'green', amount: 'Rp 9.000' });
  });

  it('a sale that was not paid or was voided is told to the trader and owes no card a green light', () => {
    const till = found('resolve');
    till.on({ type: 'answer', ask: 'resolve', sealed: declined(4), voided: false });
    expect(till.till).toMatchObject({ pending: [], unshown: [] });
    expect(till.screen()).toMatchObject({ light: 'red', title: { en: 'Not paid' }, amount: 'Rp 25.000' });
    const given = found('cancel');
    given.on({ type: 'answer', ask: 'cancel', sealed: sealed(4), voided: true });
    expect(given.till).toMatchObject({ pending: [], unshown: [] });
    expect(given.screen().lines.map(({ en }) => en)).toEqual([
      'The payment that was being checked',
      'Cancelled, nobody was charged',
    ]);
  });

  it('a sale that was not paid is told after the customer who is being served meanwhile', () => {
    const till = waiting(reading(armed(found('resolve'), 5), 1, OTHER), 5);
    till.on({ type: 'answer', ask: 'resolve', sealed: cancelled(4), voided: false });
    till.on({ type: 'receipt', sealed: sealed(5) });
    expect(till.screen().light).toBe('green');
    expect(till.on({ type: 'timer', id: 'shown' })).toContainEqual({ type: 'timer', id: 'shown', afterMs: 8_000 });
    expect(till.screen().light).toBe('red');
    till.on({ type: 'timer', id: 'shown' });
    expect(till.till.phase.name).toBe('idle');
  });

  it('a sale that no card came for ends without a word', () => {
    const recovered = [{ seq: seqOf(4), amount: 25_000n, uid: null, ask: 'resolve' as const }];
    const till = drill({ type: 'booted', recovered, unshown: [] });
    till.on({ type: 'answer', ask: 'resolve', sealed: cancelled(4), voided: false });
    expect(till.till.phase.name).toBe('idle');
  });

  it('an answer to another question than the one asked ends nothing', () => {
    const till = found('cancel');
    till.on({ type: 'answer', ask: 'resolve', sealed: sealed(4), voided: false });
    expect(till.till.pending).toHaveLength(1);
  });
});

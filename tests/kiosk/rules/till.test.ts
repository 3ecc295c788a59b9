/** The till from amount to green light, step by step. */
import { describe, expect, it } from 'vitest';
import { newTill } from '../../../kiosk/rules/sale.ts';
import { readAccount } from '../../../protocol/claim.ts';
import type { PurchaseRequest } from '../../../protocol/purchase.ts';
import {
  armed,
  CERTIFICATE,
  declined,
  doubtful,
  drill,
  INTENT,
  KIOSK,
  OTHER,
  reading,
  sealed,
  seqOf,
  typesOf,
  UID,
  waiting,
} from './drill.ts';

describe('arming a sale', () => {
  it('mints a number on disk before any card is accepted', () => {
    const till = drill();
    expect(till.press('2', '5', '0', '0', '0', 'enter', 'enter')).toContainEqual({
      type: 'mint',
      amount: 25_000n,
      mode: 'account',
    });
    expect(typesOf(till.on({ type: 'card', presence: 1, uid: UID }))).toEqual([]);
    expect(typesOf(till.on({ type: 'minted', seq: seqOf(1) }))).toContain('fetch-key');
  });

  it('shows the amount and asks for the card, Indonesian first', () => {
    const screen = armed().screen();
    expect(screen).toMatchObject({ amount: 'Rp 25.000', light: 'none' });
    expect(screen.title).toEqual({ id: 'Tap kartu di sini', en: 'Tap the card here' });
  });

  it('says the no-PIN limit before anybody taps', () => {
    const till = drill();
    expect(typesOf(till.press('5', '0', '0', '0', '0', '1', 'enter'))).not.toContain('mint');
    expect(till.till.phase).toMatchObject({ name: 'typing', note: 'tap-limit' });
    expect(till.screen().lines.map(({ id }) => id)).toEqual([
      'Melebihi batas sekali bayar tanpa PIN',
      'Paling banyak Rp 500.000',
    ]);
    till.press('back', 'enter');
    expect(till.till.phase).toMatchObject({ name: 'confirm', amount: 50_000n });
  });

  it('takes the limit itself', () => {
    const till = drill();
    till.press('5', '0', '0', '0', '0', '0', 'enter');
    expect(till.till.phase.name).toBe('confirm');
  });

  it.each([
    [
      'without a line to the hub',
      'offline',
      (till: ReturnType<typeof drill>) => till.on({ type: 'link', online: false }),
    ],
    [
      'when the hub says it leaves',
      'offline',
      (till: ReturnType<typeof drill>) => till.on({ type: 'hub', open: false }),
    ],
    [
      'when the reader is gone',
      'reader-down',
      (till: ReturnType<typeof drill>) => till.on({ type: 'reader-fault', why: 'unplugged' }),
    ],
    [
      'when the disk takes no writes',
      'disk-down',
      (till: ReturnType<typeof drill>) => till.on({ type: 'disk', why: 'disk full' }),
    ],
    [
      'with a beacon older than 50 seconds',
      'stale',
      (till: ReturnType<typeof drill>) => {
        till.at += 50_001;
      },
    ],
  ])('is refused %s', (_when, note, trouble) => {
    const till = drill();
    till.press('1', '0', '0', '0', 'enter');
    trouble(till);
    expect(till.press('enter')).toEqual([]);
    expect(till.till.phase).toMatchObject({ name: 'confirm', note });
  });

  it('counts a beacon’s age from the first time it was heard, not from its repetition at a reconnect', () => {
    const till = drill();
    till.at += 40_000;
    till.on({ type: 'link', online: true });
    till.on({ type: 'beacon', slot: 6_000, value: 'deadbeef' });
    till.at += 10_001;
    till.press('1', '0', '0', '0', 'enter', 'enter');
    expect(till.till.phase).toMatchObject({ name: 'confirm', note: 'stale' });
  });

  it('reads no card with a beacon that has grown old while the sale waited', () => {
    const till = armed();
    till.at += 50_001;
    expect(typesOf(till.on({ type: 'card', presence: 1, uid: UID }))).toEqual([]);
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'stale' });
  });

  it('is dropped without asking anybody when the trader cancels before a card came', () => {
    const till = armed();
    expect(till.press('cancel')).toContainEqual({ type: 'drop', seq: 1 });
    expect(till.till.phase.name).toBe('idle');
  });

  it('is dropped when no card comes, lest the next customer pays it', () => {
    const till = armed();
    expect(till.on({ type: 'timer', id: 'forgotten' })).toEqual([{ type: 'drop', seq: 1 }]);
    expect(till.screen().lines[0]?.en).toBe('Sale closed: no card came');
  });

  it('refuses cards that are not ours', () => {
    const till = armed();
    till.on({ type: 'card', presence: 1, uid: '04a1b2c3' });
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'foreign' });
  });
});

describe('a tap', () => {
  it('asks for the card’s key, then for the sale with the beacon at hand', () => {
    const till = armed();
    expect(till.on({ type: 'card', presence: 1, uid: UID })).toContainEqual({
      type: 'fetch-key',
      card: { presence: 1, uid: UID },
    });
    expect(till.on({ type: 'card-key', uid: UID, state: 'held' })).toContainEqual({
      type: 'pay',
      sale: { seq: 1, amount: 25_000n, price: 25_000n, mode: 'account', prices: null },
      card: { presence: 1, uid: UID },
      slot: 6_000,
      beacon: 'deadbeef',
    });
    expect(till.screen()).toMatchObject({ light: 'yellow', title: { id: 'Tahan kartu', en: 'Hold the card still' } });
  });

  it('keeps the request on disk before it is sent, with the claim the card certified', () => {
    const till = reading();
    const paid = { kind: 'committed', intent: INTENT, certificate: CERTIFICATE } as const;
    const effects = till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid });
    const types = typesOf(effects);
    expect(types.indexOf('save')).toBeLessThan(types.indexOf('send'));
    const { body } = effects.find(({ type }) => type === 'send') as unknown as { body: PurchaseRequest };
    expect(body).toMatchObject({ kiosk: KIOSK, seq: 1, kind: 'account', amount: 25_000 });
    expect(body.claim).toMatchObject({ uid: UID, keyVersion: 1, ...CERTIFICATE, before: `02010000${INTENT.tmv}` });
    expect(readAccount(body.claim.commands)).toMatchObject({ record: INTENT.record, tmri: INTENT.tmri, opening: 0 });
  });

  it('lets the card leave while the hub decides, and says so', () => {
    const till = waiting();
    expect(till.till.phase.name).toBe('waiting');
    expect(till.screen()).toMatchObject({ light: 'yellow', title: { id: 'Sedang dicek', en: 'Being checked' } });
  });

  it('torn before the commit was sent keeps the same sale and number armed', () => {
    const till = reading();
    till.on({ type: 'gone', presence: 1 });
    till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid: { kind: 'torn' } });
    expect(till.till.phase).toMatchObject({ name: 'armed', sale: { seq: 1 }, note: 'torn' });
    expect(till.screen().lines[0]?.en).toContain('Not charged');
    reading(till, 2);
    expect(till.till.phase).toMatchObject({ name: 'reading', sale: { seq: 1 } });
  });

  it('asks once more for a key the card refuses', () => {
    const till = reading();
    const effects = till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid: { kind: 'wrong-key' } });
    expect(typesOf(effects).slice(0, 2)).toEqual(['forget-key', 'fetch-key']);
    till.on({ type: 'card-key', uid: UID, state: 'stopped' });
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'stopped' });
  });

  it('never tries a refused key on the next tap either, when the card has left at once', () => {
    const till = reading();
    till.on({ type: 'gone', presence: 1 });
    till.on({ type: 'card', presence: 2, uid: UID });
    const effects = till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid: { kind: 'wrong-key' } });
    expect(typesOf(effects).filter((type) => type.endsWith('key'))).toEqual(['forget-key', 'fetch-key']);
    expect(till.till.phase).toMatchObject({ name: 'keying', card: { presence: 2 } });
  });

  it('asks the customer to tap again when the hub sends no key, and charges nobody', () => {
    const till = armed();
    till.on({ type: 'card', presence: 1, uid: UID });
    till.on({ type: 'timer', id: 'key' });
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'key-late' });
  });

  it('says the hub’s reason for refusing a key', () => {
    const till = armed();
    till.on({ type: 'card', presence: 1, uid: UID });
    till.on({ type: 'card-key', uid: UID, state: 'card-unknown' });
    expect(till.screen().lines[0]).toEqual({ id: 'Kartu tidak terdaftar', en: 'Card not registered' });
  });

  it('never speaks with a card for two sales at one visit', () => {
    const till = reading();
    const paid = { kind: 'committed', intent: INTENT, certificate: CERTIFICATE } as const;
    till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid });
    till.on({ type: 'receipt', sealed: sealed(1) });
    armed(till, 2);
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'lift' });
    till.on({ type: 'gone', presence: 1 });
    expect(till.till.phase).toMatchObject({ name: 'armed', note: null });
    till.on({ type: 'card', presence: 2, uid: OTHER });
    expect(till.till.phase.name).toBe('keying');
  });

  it('accepts a card that was laid down before the amount was typed', () => {
    const till = drill();
    till.on({ type: 'card', presence: 1, uid: UID });
    armed(till);
    expect(till.till.phase.name).toBe('keying');
  });

  it('stops at a disk that takes no writes: the commit was never sent', () => {
    const till = reading();
    till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid: { kind: 'disk', why: 'disk is full' } });
    expect(till.screen()).toMatchObject({ light: 'red', mark: '!' });
    expect(till.screen().lines.map(({ en }) => en)).toContain('disk is full');
    expect(till.on({ type: 'timer', id: 'tick' })).toContainEqual({ type: 'probe' });
    till.on({ type: 'disk', why: null });
    expect(till.screen()).toMatchObject({ title: { en: 'Ready. Type the amount' }, lines: [] });
  });
});

describe('the hub’s answer', () => {
  it('approved is a green light with the new balance, kept before it is journaled as shown', () => {
    const till = waiting();
    const types = typesOf(till.on({ type: 'receipt', sealed: sealed(1, { fee: 100 }) }));
    expect(types.indexOf('keep')).toBeLessThan(types.indexOf('green'));
    expect(till.screen()).toMatchObject({ light: 'green', mark: 'OK', sound: 'ok', amount: 'Rp 25.000' });
    expect(till.screen().lines.map(({ id }) => id)).toEqual(['Saldo Rp 75.000', 'Termasuk biaya Rp 100']);
  });

  it('declined is red with words in both languages and no green', () => {
    const till = waiting();
    expect(typesOf(till.on({ type: 'receipt', sealed: declined(1) }))).not.toContain('green');
    expect(till.screen()).toMatchObject({ light: 'red', sound: 'no', title: { id: 'Tidak dibayar', en: 'Not paid' } });
    expect(till.screen().lines).toEqual([{ id: 'Saldo tidak cukup', en: 'Not enough balance' }]);
  });

  it('expired is shown as too late, nobody charged', () => {
    const till = waiting();
    till.on({ type: 'receipt', sealed: sealed(1, { outcome: 'expired', reason: null }) });
    expect(till.screen().lines[0]?.en).toBe('Too late: start the sale again');
  });

  it('that is late leaves the sale unknown for as long as it takes', () => {
    const till = waiting();
    till.on({ type: 'timer', id: 'slow' });
    for (let hour = 0; hour < 24; hour++) {
      till.at += 3_600_000;
      till.on({ type: 'timer', id: 'retry' });
      till.on({ type: 'timer', id: 'tick' });
    }
    expect(till.till.phase).toMatchObject({ name: 'waiting', slow: true });
    expect(till.screen().light).toBe('yellow');
    expect(till.screen().lines[0]?.en).toContain('Not a "no"');
  });

  it('is asked for with the same request to the byte, by back-off and at a reconnect', () => {
    const till = reading();
    const paid = { kind: 'committed', intent: INTENT, certificate: CERTIFICATE } as const;
    const bodies: string[] = [];
    const collect = (effects: readonly { type: string }[]): void => {
      for (const effect of effects)
        if ('body' in effect && effect.type === 'send') bodies.push(JSON.stringify(effect.body));
    };
    collect(till.on({ type: 'paid', seq: seqOf(1), presence: 1, paid }));
    collect(till.on({ type: 'timer', id: 'retry' }));
    till.on({ type: 'link', online: false });
    collect(till.on({ type: 'timer', id: 'retry' }));
    collect(till.on({ type: 'link', online: true }));
    expect(bodies).toHaveLength(3);
    expect(new Set(bodies).size).toBe(1);
  });

  it('for another amount, card or kiosk shows no green light', () => {
    for (const wrong of [{ amount: 24_000 }, { card: OTHER }, { kiosk: 8 }]) {
      const till = waiting();
      expect(typesOf(till.on({ type: 'receipt', sealed: sealed(1, wrong) }))).toEqual(['log']);
      expect(till.till.phase.name).toBe('waiting');
    }
  });

  it('"busy" decides nothing; a request the hub cannot take is ended by asking, never by a guess', () => {
    const till = waiting();
    till.on({ type: 'refused', seq: seqOf(1), about: 'purchase', code: 'hub-busy' });
    expect(till.till.phase.name).toBe('waiting');
    const effects = till.on({ type: 'refused', seq: seqOf(1), about: 'purchase', code: 'message-malformed' });
    expect(effects).toContainEqual({ type: 'ask', seq: 1, ask: 'resolve' });
    expect(till.screen().light).toBe('yellow');
  });

  it('leaves the screen by itself or at the next amount', () => {
    const till = waiting();
    till.on({ type: 'receipt', sealed: sealed(1) });
    till.on({ type: 'timer', id: 'shown' });
    expect(till.till.phase.name).toBe('idle');
    const next = waiting();
    next.on({ type: 'receipt', sealed: sealed(1) });
    next.press('7');
    expect(next.till.phase).toMatchObject({ name: 'typing', digits: '7' });
  });
});

describe('the screen', () => {
  it('does not call a reader broken that has not spoken yet', () => {
    const till = drill();
    till.till = { ...newTill(KIOSK), phase: { name: 'idle', note: null }, online: true };
    expect(till.screen()).toMatchObject({ light: 'yellow', lines: [{ en: 'Starting' }] });
    till.on({ type: 'reader-fault', why: 'unplugged' });
    expect(till.screen()).toMatchObject({ light: 'red', mark: '!' });
  });

  it('tells the three outcomes apart by word, mark and sound, not by colour alone', () => {
    const paid = waiting();
    paid.on({ type: 'receipt', sealed: sealed(1) });
    const not = waiting();
    not.on({ type: 'receipt', sealed: declined(1) });
    const screens = [paid, not, waiting(), doubtful()].map((till) => till.screen());
    expect(new Set(screens.map(({ mark }) => mark)).size).toBe(4);
    expect(new Set(screens.map(({ sound }) => sound)).size).toBe(4);
    expect(new Set(screens.map(({ title }) => title.id)).size).toBe(4);
  });

  it('says for how long the hub has not been heard', () => {
    const till = drill();
    till.on({ type: 'link', online: false });
    till.at += 5 * 60_000;
    expect(till.screen().badges[0]).toEqual({ id: 'Terputus 5 menit', en: 'Offline for 5 min' });
  });

  it('says that it cannot take cards while it cannot, and no longer than that', () => {
    const till = armed();
    till.on({ type: 'reader-fault', why: 'unplugged' });
    expect(till.screen()).toMatchObject({ light: 'red', title: { en: 'Cannot take cards now' } });
    till.on({ type: 'reader-ready' });
    expect(till.screen().title.en).toBe('Tap the card here');
    till.on({ type: 'link', online: false });
    till.on({ type: 'card', presence: 1, uid: UID });
    expect(till.screen().lines[0]?.en).toBe('Not connected to the hub');
    till.on({ type: 'link', online: true });
    expect(till.screen().lines[0]?.en).toBe('Take the card away first');
    till.on({ type: 'gone', presence: 1 });
    expect(till.screen()).toMatchObject({ light: 'none', title: { en: 'Tap the card here' } });
  });

  it('does not ask for a card again while no reader could see it', () => {
    const till = doubtful();
    till.on({ type: 'reader-fault', why: 'unplugged' });
    expect(till.screen().lines[0]?.en).toBe('Card reader is not ready');
  });

  it('leaves the help page when the sale goes on, for a green light behind it is seen by nobody', () => {
    const till = waiting();
    till.press('help');
    till.on({ type: 'timer', id: 'retry' });
    expect(till.screen().title.en).toBe('Help');
    till.on({ type: 'receipt', sealed: sealed(1) });
    expect(till.screen().light).toBe('green');
  });

  it('helps and returns to where it was', () => {
    const till = armed();
    till.press('help');
    expect(till.screen().title.en).toBe('Help');
    till.press('help');
    expect(till.screen().title.en).toBe('Tap the card here');
  });
});

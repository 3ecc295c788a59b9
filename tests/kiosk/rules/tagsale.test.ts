/** A sale with a tag on the till: the hub's word ends it, and without that word the sale is asked about. */
import { describe, expect, it } from 'vitest';
import type { Paid } from '../../../kiosk/rules/sale.ts';
import { declined, drill, OTHER, reading, sealed, seqOf, typesOf, UID } from './drill.ts';

const told = (paid: Paid) => ({ type: 'paid', seq: seqOf(1), presence: 1, paid }) as const;
const decided = (of = sealed(1)): Paid => ({ kind: 'decided', uid: UID, sealed: of });

describe('a tag that proved itself', () => {
  it('shows the same green light as every sale, kept on disk before it is journaled as shown', () => {
    const till = reading();
    const effects = till.on(told(decided()));
    expect(till.screen()).toMatchObject({ light: 'green', title: { en: 'Paid. Thank you' } });
    expect(typesOf(effects).filter((type) => type === 'keep' || type === 'green')).toEqual(['keep', 'green']);
    expect(typesOf(effects)).not.toContain('send');
  });

  it('and was declined shows why, and nothing is asked any more', () => {
    const till = reading();
    const effects = till.on(told(decided(declined(1))));
    expect(till.screen()).toMatchObject({ light: 'red', title: { en: 'Not paid' } });
    expect(typesOf(effects)).toContain('keep');
    expect(till.till.pending).toEqual([]);
  });

  it.each([
    ['another amount', sealed(1, { amount: 26_000 })],
    ['another card', sealed(1, { card: OTHER })],
    ['another kiosk', sealed(1, { kiosk: 8 })],
    ['another sale', sealed(2)],
  ])('with the receipt of %s shows no green light: the sale is asked about', (_, receipt) => {
    const till = reading();
    const effects = till.on(told(decided(receipt)));
    expect(till.screen().light).toBe('yellow');
    expect(typesOf(effects)).toEqual(expect.arrayContaining(['close', 'ask', 'log']));
    expect(till.till.pending).toMatchObject([{ seq: 1, uid: UID, ask: 'resolve' }]);
  });
});

describe('a tag that was asked to prove itself, without a word of the hub', () => {
  it('is neither paid nor unpaid: the sale is asked about, and no other of this card begins', () => {
    const till = reading();
    const effects = till.on(told({ kind: 'unanswered', uid: UID, again: false }));
    expect(till.till.phase).toMatchObject({ name: 'closing', ask: 'resolve', again: false });
    expect(typesOf(effects)).toEqual(expect.arrayContaining(['close', 'ask']));
    till.on({ type: 'gone', presence: 1 });
    till.press('enter', '5', '0', '0', 'enter', 'enter');
    till.on({ type: 'minted', seq: seqOf(2) });
    till.on({ type: 'card', presence: 2, uid: UID });
    expect(till.till.phase).toMatchObject({ name: 'armed', note: 'unfinished' });
    till.on({ type: 'answer', ask: 'resolve', sealed: sealed(1), voided: false });
    expect(till.screen()).toMatchObject({ light: 'green' });
  });

  it('is shown as paid once the hub says so, and armed anew under the next number if the card left before', () => {
    const paid = reading();
    paid.on(told({ kind: 'unanswered', uid: UID, again: true }));
    paid.on({ type: 'answer', ask: 'resolve', sealed: sealed(1), voided: false });
    expect(paid.screen().light).toBe('green');
    const left = reading();
    left.on(told({ kind: 'unanswered', uid: UID, again: true }));
    const cancelled = sealed(1, { outcome: 'cancelled', reason: 'cancelled', card: null, amount: 0, balance: null });
    const effects = left.on({ type: 'answer', ask: 'resolve', sealed: cancelled, voided: false });
    expect(typesOf(effects)).toContain('mint');
  });

  it('is asked about after the line is back when the line broke', () => {
    const till = reading();
    till.on({ type: 'link', online: false });
    till.on(told({ kind: 'unanswered', uid: UID, again: false }));
    expect(typesOf(till.on({ type: 'link', online: true }))).toContain('ask');
  });
});

describe('a tag with which nothing was begun', () => {
  it.each([
    [{ kind: 'turned-away', code: 'card-blocked' }, 'card-blocked'],
    [{ kind: 'stopped' }, 'stopped'],
    [{ kind: 'torn' }, 'torn'],
    [{ kind: 'no-key' }, 'key-late'],
    [{ kind: 'foreign' }, 'foreign'],
  ] as const)('for %j leaves the same sale armed', (paid, note) => {
    const till = reading();
    const effects = till.on(told(paid));
    expect(till.till.phase).toMatchObject({ name: 'armed', sale: { seq: 1 }, note });
    expect(typesOf(effects)).not.toContain('ask');
  });

  it('says nothing to a till that has gone on', () => {
    const till = drill();
    expect(till.on(told(decided()))).toEqual([]);
    expect(till.till.phase.name).toBe('idle');
  });
});

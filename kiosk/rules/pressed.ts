/** The trader's keys: amount, confirm, cancel. */
import { registered } from '../../protocol/limits.ts';
import { CARD_AMOUNT_MAX } from '../../protocol/money.ts';
import { close, obstacle, stay, stop, to } from './moves.ts';
import { priceOf, whose } from './prices.ts';
import type { PanelKey, Phase, Step, Till } from './sale.ts';

const DIGITS_MAX = 9;
const larger = (one: bigint, other: bigint): bigint => (one > other ? one : other);
const IDLE: Phase = { name: 'idle', note: null };

/** @param at the kiosk's monotonic clock, milliseconds */
export function pressed(till: Till, key: PanelKey, at: number): Step {
  if (till.help) return stay({ ...till, help: false });
  if (key === 'help') return stay({ ...till, help: true });
  const { phase } = till;
  switch (phase.name) {
    case 'booting':
    case 'minting':
    case 'reading':
    case 'finding':
    case 'looking':
      return stay(till);
    case 'idle':
    case 'done':
      return fromRest(till, key);
    case 'typing':
      return typing(till, phase, key);
    case 'confirm':
      return confirm(till, phase, key, at);
    case 'armed':
    case 'keying':
      // No commit was sent under this seq, so no card carries it and the hub has never heard of it.
      if (key !== 'cancel') return stay(till);
      return to(till, IDLE, stop('forgotten'), stop('key'), { type: 'drop', seq: phase.sale.seq });
    case 'waiting':
      return key === 'cancel' ? close(till, phase.sale, phase.uid, 'cancel', false) : stay(till);
    case 'doubt':
      return key === 'cancel' ? close(till, phase.sale, phase.intent.uid, 'cancel', false) : stay(till);
    case 'closing':
      // The trader may go on serving others; the question stays open in `pending`.
      return key === 'enter' || key === 'cancel' ? to(till, IDLE, stop('slow')) : stay(till);
  }
}

function fromRest(till: Till, key: PanelKey): Step {
  const settled = stop('shown');
  if (key === 'enter' && till.phase.name === 'idle') return to(till, { name: 'idle', note: 'amount-needed' });
  if (key === 'enter' || key === 'cancel' || key === 'back') return to(till, IDLE, settled);
  if (key === '0') return till.phase.name === 'done' ? to(till, IDLE, settled) : stay(till);
  return to(till, { name: 'typing', digits: key, note: null }, settled);
}

function typing(till: Till, phase: Phase & { name: 'typing' }, key: PanelKey): Step {
  const { digits } = phase;
  if (key === 'cancel') return to(till, IDLE);
  if (key === 'back') {
    return digits.length > 1 ? to(till, { name: 'typing', digits: digits.slice(0, -1), note: null }) : to(till, IDLE);
  }
  if (key !== 'enter') {
    const longer = digits + key;
    const fits = longer.length <= DIGITS_MAX && BigInt(longer) <= CARD_AMOUNT_MAX;
    return fits ? to(till, { name: 'typing', digits: longer, note: null }) : stay(till);
  }
  const amount = BigInt(digits);
  // The hub applies the same limit (protocol/limits.ts), or a lower one that no kiosk knows; said here, nobody need tap
  // for nothing. Above it a PIN is needed, which is not asked for here.
  const most = [amount, ...whose.map((one) => priceOf(till, one, amount)?.total ?? amount)].reduce(larger);
  if (most > registered.pinAbove) return to(till, { name: 'typing', digits, note: 'tap-limit' });
  return to(till, { name: 'confirm', amount, note: null });
}

function confirm(till: Till, phase: Phase & { name: 'confirm' }, key: PanelKey, at: number): Step {
  const { amount } = phase;
  if (key === 'cancel') return to(till, IDLE);
  if (key === 'back') return to(till, { name: 'typing', digits: amount.toString(), note: null });
  if (key !== 'enter') return stay(till);
  const note = obstacle(till, at);
  if (note !== null) return to(till, { name: 'confirm', amount, note });
  return to(till, { name: 'minting', amount, mode: 'account' }, { type: 'mint', amount, mode: 'account' });
}

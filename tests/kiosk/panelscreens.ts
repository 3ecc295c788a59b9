/** Screens as the till makes them, for tests of panels. */
import { declined, drill, sealed, waiting } from './rules/drill.ts';

function answered(answer: Parameters<typeof sealed>[0], make: typeof sealed | typeof declined) {
  const till = waiting();
  till.on({ type: 'receipt', sealed: make(answer) });
  return till.screen();
}

export const readyScreen = drill().screen();
export const paidScreen = answered(1, sealed);
export const declinedScreen = answered(1, declined);

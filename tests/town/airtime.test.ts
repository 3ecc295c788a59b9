/** The table of air and card times comes to what was worked out by hand. */
import { expect, test } from 'vitest';
import { ACTIVATION_MS, airMs, cardMs, realPace } from './airtime.ts';

/** Lengths of commands and replies of the purse sale, in bytes, and each command's INS (CARDS section 5.1). */
const purse: readonly (readonly [number, number, number])[] = [
  [0xa4, 22, 2],
  [0x71, 8, 18],
  [0xaf, 38, 34],
  [0xad, 21, 22],
  [0xab, 21, 90],
  [0x6c, 15, 26],
  [0xdc, 31, 10],
  [0x8b, 53, 10],
  [0xc8, 30, 26],
  [0xc7, 15, 22],
];
const sum = (parts: readonly number[]) => parts.reduce((all, part) => all + part, 0);
const command = (ins: number, length: number) => {
  const apdu = new Uint8Array(length);
  apdu.set([ins === 0xa4 ? 0x00 : 0x90, ins]);
  return apdu;
};

test('a purse sale is 51.6 ms in the air and an account sale 47, at 106 kbit/s', () => {
  expect(sum(purse.map(([, out, back]) => airMs(out, back)))).toBeCloseTo(51.6, 1);
  const account = purse.filter(([ins]) => ins !== 0xdc);
  expect(sum(account.map(([, out, back]) => airMs(out, back)))).toBeCloseTo(47, 0);
});

test('the card computes 32 ms in a purse sale: two steps of 5, a commit of 8, seven of 2', () => {
  expect(sum(purse.map(([ins, out]) => cardMs(command(ins, out))))).toBe(32);
});

test('a card asked by the reader itself takes its activation, any other command air, card and reader', () => {
  const pace = realPace(3);
  expect(pace(command(0x6c, 15), new Uint8Array(26))).toBeCloseTo(airMs(15, 26) + 2 + 3);
  expect(pace(Uint8Array.of(0xff, 0xca, 0, 0, 0), new Uint8Array(9))).toBe(ACTIVATION_MS);
});

/** Card numbers carry the check digit of ISO/IEC 7812-1, and every number is as likely as any other. */
import { expect, test } from 'vitest';
import { checkDigit, drawCardNumber, isMistyped, spellNumber } from '../../../hub/rules/cardnumber.ts';

/** Chance that gives these bytes, one draw after the other. */
function draws(...values: number[]) {
  return (count: number) => {
    const value = values.shift() ?? 0;
    return Uint8Array.from({ length: count }, (_, at) => Math.floor(value / 256 ** (count - 1 - at)) % 256);
  };
}

test('check digits are those of published numbers', () => {
  const published = [
    // Luhn's patent and its usual example; test numbers of card schemes; an IMEI of 3GPP TS 23.003.
    '79927398713',
    '4111111111111111',
    '5555555555554444',
    '378282246310005',
    '6011111111111117',
    '30569309025904',
    '3530111333300000',
    '490154203237518',
  ];
  for (const number of published) expect(checkDigit(number.slice(0, -1))).toBe(Number(number.at(-1)));
  expect(checkDigit('')).toBe(0);
});

test('a number is 9360, eleven digits of chance and the check digit', () => {
  expect(drawCardNumber(draws(0))).toBe('9360000000000005');
  expect(drawCardNumber(draws(99_999_999_999))).toBe('9360999999999996');
  expect(drawCardNumber(draws(100_000_000_007))).toBe(drawCardNumber(draws(7)));
});

test('draws that would make low numbers likelier are thrown away, and a broken source of chance is noticed', () => {
  expect(drawCardNumber(draws(1_000_000_000_000, 2 ** 40 - 1, 5))).toBe(drawCardNumber(draws(5)));
  expect(() => drawCardNumber((count) => new Uint8Array(count).fill(0xff))).toThrow(/chance/);
});

test('one wrong digit, or two neighbours exchanged, is seen; numbers of other issuers are not judged', () => {
  const number = drawCardNumber(draws(12_345_678_901));
  expect(isMistyped(number)).toBe(false);
  for (let at = 4; at < number.length; at++) {
    for (let digit = 0; digit <= 9; digit++) {
      const typed = `${number.slice(0, at)}${digit}${number.slice(at + 1)}`;
      expect(isMistyped(typed)).toBe(typed !== number);
    }
  }
  expect(isMistyped(number.replace('12', '21'))).toBe(true);
  expect(isMistyped('979200000001')).toBe(false);
});

test('numbers are printed in groups of four', () => {
  expect(spellNumber('9360123456789012')).toBe('9360 1234 5678 9012');
  expect(spellNumber('979200000001')).toBe('9792 0000 0001');
  expect(spellNumber('12345')).toBe('1234 5');
});

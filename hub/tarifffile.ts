/** The file in which officers propose tariffs. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Tariff, tariffFault } from '../protocol/tariffs.ts';
import { readBounded } from './files.ts';
import { printable } from './printable.ts';
import { TariffTerms, termsOf } from './tariffterms.ts';

const exact = { additionalProperties: false };
const File = Type.Object(
  { v: Type.Literal(1), tariffs: Type.Array(Type.Object(TariffTerms, exact), { minItems: 1, maxItems: 64 }) },
  exact,
);
const check = Compile(File);
const BYTES_MAX = 64 * 1024;

export type ReadTariffs =
  | { readonly ok: true; readonly terms: readonly Omit<Tariff, 'version'>[] }
  | { readonly ok: false; readonly error: string };

const wrong = (error: string): ReadTariffs => ({ ok: false, error: printable(error) });

function parsed(path: string): { readonly value: unknown } | string {
  try {
    const text = readBounded(path, BYTES_MAX);
    return text === null ? `${path} is longer than ${BYTES_MAX} bytes` : { value: JSON.parse(text) };
  } catch (error) {
    if (error instanceof SyntaxError) return `${path} is not JSON: ${error.message}; correct it`;
    return `${path} cannot be read (${(error as NodeJS.ErrnoException).code}); check its name`;
  }
}

/**
 * Reads proposed tariffs: `{"v": 1, "tariffs": [terms without a version, …]}`, at most 64 of them in 64 KiB. The error
 * names every tariff that has a fault, counted from 1, and what it is.
 */
export function readTariffs(path: string): ReadTariffs {
  const read = parsed(path);
  if (typeof read === 'string') return wrong(read);
  const { value } = read;
  if (!check.Check(value)) {
    const faults = [...check.Errors(value)].slice(0, 8).map((one) => `${one.instancePath || '/'} ${one.message}`);
    return wrong(`${path} does not fit: ${faults.join('; ')}; correct it`);
  }
  const terms = (value as Static<typeof File>).tariffs.map(termsOf);
  const faults = terms.flatMap((one, at) => {
    const fault = tariffFault({ version: 1, ...one });
    return fault === null ? [] : [`tariff ${at + 1}: ${fault}`];
  });
  return faults.length === 0 ? { ok: true, terms } : wrong(`${path} has faults: ${faults.join('; ')}`);
}

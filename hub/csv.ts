/** Comma-separated values (RFC 4180), with commas or semicolons: read strictly, written so that nothing is computed. */

export type Separator = ';' | ',';

export interface CsvRecord {
  /** Line of the file on which it begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
  /** What is wrong with its quotes; null if nothing. */
  readonly fault: string | null;
}

/** A quoted field from its opening quote on: its text, and where it ends; null if the quote is never closed. */
function readQuoted(text: string, from: number): { readonly value: string; readonly end: number } | null {
  let value = '';
  for (let at = from + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return null;
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { value, end: quote + 1 };
    value += '"';
    at = quote + 2;
  }
}

const breaks = (text: string) => text.match(/\r\n|\r|\n/g)?.length ?? 0;

/**
 * Reads records of fields. Lines end as they like (CRLF, LF, CR); empty ones are passed over. Spaces belong to their
 * field, as the RFC has it.
 */
export function* readCsv(text: string, separator: Separator): Generator<CsvRecord> {
  const plainEnd = new RegExp(`[${separator}\r\n]`, 'g');
  const endOf = (at: number) => {
    plainEnd.lastIndex = at;
    return plainEnd.exec(text)?.index ?? text.length;
  };
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const first = line;
    const fields: string[] = [];
    let fault: string | null = null;
    for (;;) {
      const quoted = text[at] === '"' ? readQuoted(text, at) : undefined;
      if (quoted === null) {
        yield { line: first, fields, fault: 'a quote is opened and never closed' };
        return;
      }
      const from = quoted?.end ?? at;
      const end = endOf(from);
      const plain = text.slice(from, end);
      if (quoted !== undefined && plain !== '') fault ??= 'something follows a closing quote';
      if (quoted === undefined && plain.includes('"'))
        fault ??= 'a quote stands in a field that does not begin with one';
      line += breaks(quoted?.value ?? '');
      fields.push(quoted?.value ?? plain);
      at = end + 1;
      if (text[end] !== separator) break;
    }
    if (text[at - 1] === '\r' && text[at] === '\n') at += 1;
    line += 1;
    if (fields.length > 1 || fields[0] !== '' || fault !== null) yield { line: first, fields, fault };
  }
}

/** A spreadsheet computes what begins like this, also in its wide forms (OWASP, "CSV Injection"). */
export const beginsAsFormula = (text: string): boolean => /^[=+\-@\t\r＝＋－＠]/.test(text);

/** Writes one record; what would be computed gets an apostrophe before it. */
export function writeCsvRecord(fields: readonly string[], separator: Separator): string {
  const written = fields.map((field) => {
    const harmless = beginsAsFormula(field) ? `'${field}` : field;
    return /[";,\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  });
  return `${written.join(separator)}\r\n`;
}

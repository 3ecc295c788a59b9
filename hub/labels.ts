/** Labels for cards: a page to print and cut, or a table for a label printer. */
import { lstatSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { extname } from 'node:path';
import { renderSVG } from 'uqr';
import type { HubConfig } from './config.ts';
import { writeCsvRecord } from './csv.ts';
import { readStart, writeAtomic } from './files.ts';
import { printable } from './printable.ts';
import { spellNumber } from './rules/cardnumber.ts';
import type { Card, Registry } from './store/registry.ts';

/** Two columns of five cards of 85.6 × 54 mm (ISO/IEC 7810 ID-1) fill a sheet of A4. */
const PER_SHEET = 10;
const QUIET_ZONE = 4;
/** Names from here on are printed smaller. */
const LONG = 36;

export interface Label {
  readonly number: string;
  readonly name: string;
  readonly cooperative: string;
  /** What the QR code holds: where the card's member page is. */
  readonly url: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escapeHtml = (text: string) => printable(text).replace(/[&<>"']/g, (one) => ESCAPES[one] ?? '');

const FIRST_LINE = '<!doctype html><!-- simpul: card labels -->';
const HEADER = ['number', 'member', 'cooperative', 'url'];

const STYLE = `
@page { size: A4 portrait; margin: 0 }
* { box-sizing: border-box; margin: 0 }
body { font: 3.4mm/1.3 system-ui, "DejaVu Sans", sans-serif; color: #000; background: #fff }
section { width: 210mm; height: 296mm; padding: 13mm 19.4mm; break-after: page;
  display: grid; grid-template: repeat(5, 54mm) / repeat(2, 85.6mm) }
section:last-child { break-after: auto }
article { border: .2mm dashed #999; padding: 4mm; overflow: hidden;
  display: grid; grid-template: auto 1fr auto / 1fr 28mm; column-gap: 2mm }
h2 { font-size: 3.6mm; font-weight: 600; grid-column: 1 / 3; max-height: 9.4mm; overflow: hidden;
  overflow-wrap: anywhere }
.name { font-size: 4.2mm; align-self: center; max-height: 27.3mm; overflow: hidden; overflow-wrap: anywhere }
.long { font-size: 3.4mm }
.number { font: 600 4.8mm/1 ui-monospace, "DejaVu Sans Mono", monospace; align-self: end; grid-column: 1 / 3;
  white-space: nowrap }
svg { width: 28mm; height: 28mm; grid-column: 2; grid-row: 2; shape-rendering: crispEdges; align-self: center }
`;

function article({ number, name, cooperative, url }: Label): string {
  const code = renderSVG(url, { ecc: 'M', border: QUIET_ZONE, pixelSize: 1 });
  return `<article>
<h2><bdi>${escapeHtml(cooperative)}</bdi></h2>
<p class="${[...name].length > LONG ? 'long name' : 'name'}"><bdi>${escapeHtml(name)}</bdi></p>
${code}
<p class="number">${escapeHtml(spellNumber(number))}</p>
</article>`;
}

/** A page that needs nothing but itself; its policy forbids scripts and everything from elsewhere. */
export function labelPage(labels: readonly Label[]): string {
  const sheets: string[] = [];
  for (let at = 0; at < labels.length; at += PER_SHEET) {
    sheets.push(
      `<section>\n${labels
        .slice(at, at + PER_SHEET)
        .map(article)
        .join('\n')}\n</section>`,
    );
  }
  return `${FIRST_LINE}
<html lang="id"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Label kartu</title>
<style>${STYLE}</style></head>
<body>
${sheets.join('\n')}
</body></html>
`;
}

/** The same as a table: semicolons, UTF-8 with a byte order mark, since that is how office programs know it. */
export function labelTable(labels: readonly Label[]): string {
  const rows = labels.map(({ number, name, cooperative, url }) => {
    return writeCsvRecord([spellNumber(number), printable(name), printable(cooperative), url], ';');
  });
  return `\ufeff${writeCsvRecord(HEADER, ';')}${rows.join('')}`;
}

/** The labels of cards, in the order in which their chips were laid down. */
export function labelsOf(registry: Registry, cards: readonly Card[], host: string): Label[] {
  const ordered = [...cards].sort((a, b) => (a.made?.seq ?? 0) - (b.made?.seq ?? 0));
  return ordered.map(({ number, member, issuer }) => ({
    number,
    name: registry.member(member)?.name ?? member,
    cooperative: registry.cooperative(issuer)?.name ?? issuer,
    url: `https://${isIPv6(host) ? `[${host}]` : host}/k/${number}`,
  }));
}

/** Where labels are to be written. */
export interface LabelFile {
  readonly path: string;
  readonly host: string;
}
export type LabelTarget =
  | { readonly ok: true; readonly file: LabelFile }
  | { readonly ok: false; readonly error: string };

/** Only what was written here may be replaced: a slip of the fingers must not cost somebody a letter. */
function isOurs(path: string): boolean {
  const start = readStart(path, FIRST_LINE.length).toString('utf8');
  return start.startsWith(FIRST_LINE) || start.startsWith(labelTable([]).trimEnd());
}

/** Whether nothing lies there, or labels. @throws the system's error when that cannot be seen. */
function mayWrite(path: string): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false });
  return there === undefined || (there.isFile() && isOurs(path));
}

const holdsOther = (path: string) => `${path} exists and holds no labels: nothing was changed; choose another name`;

/** Says before anything is done whether labels can be written there. */
export function labelTarget(config: HubConfig, path: string): LabelTarget {
  const host = config.names[0];
  if (host === undefined) {
    const error = 'hub.json names no host that phones could open; put one first in "names" and start the hub again';
    return { ok: false, error };
  }
  if (!['.html', '.csv'].includes(extname(path))) {
    return { ok: false, error: `${path} is neither a page nor a table; let the name end in .html or .csv` };
  }
  try {
    return mayWrite(path) ? { ok: true, file: { path, host } } : { ok: false, error: holdsOther(path) };
  } catch (error) {
    return {
      ok: false,
      error: `${path} cannot be used (${(error as NodeJS.ErrnoException).code}); choose another name`,
    };
  }
}

/** Writes the labels, or says why it could not. */
export function writeLabels(labels: readonly Label[], path: string): string | null {
  try {
    // Again: hours may have gone by since, until all cards were made.
    if (!mayWrite(path)) return holdsOther(path);
    writeAtomic(path, extname(path) === '.csv' ? labelTable(labels) : labelPage(labels), 0o600);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `${path} cannot be written (${code}); name a file in a folder that may be written`;
  }
}

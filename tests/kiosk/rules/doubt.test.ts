/** The table of TRUTH section 4: what a card that comes back says about a sale in doubt. */
import { describe, expect, it } from 'vitest';
import { judge } from '../../../kiosk/rules/doubt.ts';
import { CERTIFICATE, INTENT } from './drill.ts';

const ours = INTENT.record;
const other = (digit: string) => digit.repeat(32);
const [a, b, c, d] = [other('a'), other('b'), other('c'), other('d')];
const near = `${ours.slice(0, -1)}3`;

const table: [row: string, since: number, records: string[], keyVersion: number, kind: string][] = [
  ['the counter has not moved: nothing was committed', 0, [a, b, c, d], 1, 'not-committed'],
  ['one commit and the newest record is ours: it was paid for', 1, [b, c, d, ours], 1, 'committed'],
  ['one commit and the newest record is another: ours was not committed', 1, [b, c, d, a], 1, 'not-committed'],
  ['one commit and a record that differs in its last digit is not ours', 1, [b, c, d, near], 1, 'not-committed'],
  ['one commit and ours is not the newest: that is an older likeness', 1, [b, ours, c, d], 1, 'not-committed'],
  ['more commits with ours among the four: committed, certificate gone', 2, [b, c, ours, d], 1, 'committed-unproven'],
  ['many commits with ours still there: committed, certificate gone', 9, [ours, b, c, d], 1, 'committed-unproven'],
  ['four commits without ours: all four are seen, so it was not committed', 4, [a, b, c, d], 1, 'not-committed'],
  ['five commits without ours: ours may have been overwritten', 5, [a, b, c, d], 1, 'still-in-doubt'],
  ['a counter that went back proves nothing', -1, [a, b, c, d], 1, 'still-in-doubt'],
  ['another version of the card’s secret proves nothing', 1, [b, c, d, ours], 2, 'still-in-doubt'],
];

describe('a card that comes back', () => {
  it.each(table)('%s', (_row, since, records, keyVersion, kind) => {
    const sight = { keyVersion, tmc: INTENT.tmc + since, tmv: CERTIFICATE.tmv, records: records.join('') };
    expect(judge(INTENT, sight).kind).toBe(kind);
  });

  it('gives the certificate that the torn answer lost', () => {
    const sight = { keyVersion: 1, ...CERTIFICATE, records: [b, c, d, ours].join('') };
    expect(judge(INTENT, sight)).toEqual({ kind: 'committed', ...CERTIFICATE });
  });
});

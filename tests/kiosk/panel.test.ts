/** The terminal panel: keys in, screens out, readable without colour and without a terminal. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { openTerminal } from '../../kiosk/panel.ts';
import { declinedScreen, paidScreen, readyScreen } from './panelscreens.ts';

function opened(live: boolean, colour = live) {
  const input = new PassThrough();
  const output = Object.assign(new PassThrough(), { isTTY: live, columns: 60 });
  let interrupts = 0;
  const interrupted = (): void => {
    interrupts += 1;
  };
  const panel = openTerminal({ input, output, colour, heading: 'Lapak Bu Sri', first: 'id', interrupted });
  const keys: string[] = [];
  panel.listen((key) => keys.push(key));
  const written = (): string => (output.read() as Buffer | null)?.toString() ?? '';
  return { input, panel, keys, written, interrupts: () => interrupts };
}

describe('the panel', () => {
  it('reads digits, Enter, cancel, back and help, and nothing else', async () => {
    const { input, keys, panel } = opened(false);
    input.write('25x0\n');
    input.write('C?b\u007f\r');
    await new Promise((done) => setImmediate(done));
    expect(keys).toEqual(['2', '5', '0', 'enter', 'cancel', 'help', 'back', 'back', 'enter']);
    panel.close();
  });

  it('passes over arrows, function keys and a keypad without NumLock: none ends a sale or types', async () => {
    const { input, keys, panel } = opened(false);
    for (const sequence of ['[A', '[3~', '[15~', '[1;5C', 'OM', 'OP']) input.write(`\u001b${sequence}`);
    input.write('7\u001b');
    await new Promise((done) => setImmediate(done));
    expect(keys).toEqual(['7', 'cancel']);
    panel.close();
  });

  it('says once what is the same in both languages', () => {
    const { panel, written } = opened(false);
    panel.show({ ...readyScreen, lines: [{ id: 'disk is full', en: 'disk is full' }] });
    expect(written()).toContain('    disk is full\n');
  });

  it('prints each new screen once, as plain lines with the light in words', () => {
    const { panel, written } = opened(false);
    panel.show(paidScreen);
    panel.show(paidScreen);
    expect(written()).toBe(
      '[OK] (green) Dibayar. Terima kasih / Paid. Thank you · Rp 25.000\n' +
        '    Saldo Rp 75.000 / Balance Rp 75.000\n    Terhubung / Online\n',
    );
    panel.show(readyScreen);
    expect(written()).toContain('[>] Siap. Ketik jumlah / Ready. Type the amount');
  });

  it('draws one tidy frame on a terminal', () => {
    const { panel, written } = opened(true, false);
    panel.show(paidScreen);
    const [, text = ''] = written().split('\u001b[2J\u001b[H');
    const rows = text.replaceAll('\u0007', '').trimEnd().split('\n');
    expect(new Set(rows.map((row) => row.length)).size).toBe(1);
    expect(rows[1]).toMatch(/^\| Lapak Bu Sri +\|$/);
    expect(text).toContain('[OK] Dibayar. Terima kasih');
  });

  it('names no keys that do nothing where a kiosk has others than the till', () => {
    const { panel, written } = opened(true, false);
    panel.show(readyScreen);
    expect(written()).toContain('Enter = OK');
    panel.show({ ...readyScreen, keys: '? = help' });
    const text = written();
    expect(text).toContain('? = help');
    expect(text).not.toContain('Enter = OK');
  });

  it('uses colour only where it is wanted', () => {
    const [coloured, plain] = [opened(true, true), opened(true, false)];
    coloured.panel.show(declinedScreen);
    plain.panel.show(declinedScreen);
    expect(coloured.written()).toContain('\u001b[41;37m');
    expect(plain.written().replace('\u001b[2J\u001b[H', '')).not.toContain('\u001b[');
  });

  it('rings once for yes, twice for no, and not again for the same screen', () => {
    const { panel, written } = opened(true);
    panel.show(paidScreen);
    expect(written().split('\u0007')).toHaveLength(2);
    panel.show({ ...paidScreen, badges: [] });
    expect(written()).not.toContain('\u0007');
    panel.show(declinedScreen);
    expect(written().split('\u0007')).toHaveLength(3);
  });

  it('tells Ctrl-C, which a terminal without echo does not', async () => {
    const { input, interrupts } = opened(false);
    input.write('\u0003');
    await new Promise((done) => setImmediate(done));
    expect(interrupts()).toBe(1);
  });
});

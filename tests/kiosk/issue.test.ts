/** The issuing loop without wires: what a card hears, what the hub hears, and what the screen says. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type IssuingLoop, issue } from '../../kiosk/issue.ts';
import type { Reader, ReaderEvent } from '../../kiosk/reader.ts';
import type { PanelKey } from '../../kiosk/rules/sale.ts';
import type { Screen } from '../../kiosk/rules/screens.ts';
import type { Card } from '../town/card.ts';
import { anyBlankCard, UID } from '../town/deck.ts';
import type { Trouble } from '../town/field.ts';
import { HubEnd, Plate, preparedCard } from './issuingdesk.ts';
import { Clock } from './stall.ts';

let hub: HubEnd;
let plate: Plate;
let clock: Clock;
let loop: IssuingLoop;
let screens: Screen[];
let failures: unknown[];
let press: (key: PanelKey) => void;
let tell: (event: ReaderEvent) => void;

beforeEach(() => {
  [hub, plate, clock, screens, failures] = [new HubEnd(), new Plate(), new Clock(), [], []];
  const reader: Reader = {
    listen: (listener) => {
      tell = listener;
    },
    transmit: plate.transmit,
    close: async () => undefined,
  };
  loop = issue({
    reader,
    link: hub.link,
    panel: {
      listen: (listener) => {
        press = listener;
      },
      show: (screen) => void screens.push(screen),
      close: () => undefined,
    },
    monotonic: () => clock.at,
    randomBytes,
    timers: clock.timers,
    log: () => undefined,
    failed: (error) => failures.push(error),
  });
  tell({ type: 'ready', name: 'emulated' });
  hub.listener({ type: 'up' });
});
afterEach(() => {
  loop.stop();
  expect(failures).toEqual([]);
});

const said = () => [screens.at(-1)?.title, ...(screens.at(-1)?.lines ?? [])].map((words) => words?.en).join('. ');

async function lay(card: Card, trouble?: Trouble, uid = Buffer.from(UID).toString('hex')): Promise<void> {
  const presence = plate.lay(card, trouble);
  tell({ type: 'card', presence, uid, atr: '' });
  for (let turn = 0; turn < 600; turn += 1) await new Promise((done) => setImmediate(done));
}

function lift(): void {
  plate.lift();
  tell({ type: 'gone', presence: plate.presence });
}

describe('an issuing kiosk', () => {
  it('makes a prepared card, and every step of it moves on the screen', async () => {
    await lay(preparedCard());
    expect(said()).toContain('6034 0000 0017. Siti Aminah. 2 left. Take the card away');
    const steps = screens.filter(({ name }) => name === 'working').map(({ lines }) => lines[0]?.en);
    expect(new Set(steps).size).toBeGreaterThan(30);
  });

  it('sends nothing of a blank card to the hub and nothing of the hub to a blank card', async () => {
    await lay(anyBlankCard());
    expect(said()).toContain('The card is not prepared. Put it in the box of unprepared cards');
    expect(hub.asked).toEqual([]);
    expect(plate.sent.map((apdu) => apdu.slice(0, 4))).toEqual(['00a4', '9064', '9064', '9064', '9064', '9064']);
  });

  it('takes no card whose number is not a chip’s own', async () => {
    await lay(preparedCard(), {}, '08112233');
    expect(said()).toContain('Not a card for these cooperatives');
    expect(plate.sent).toEqual([]);
  });

  it('says that a torn card goes on, and it does when it is laid down again', async () => {
    const card = preparedCard();
    await lay(card, { tear: { apdu: 24, when: 'after' } });
    lift();
    expect(said()).toContain('The card left too soon. Lay the same card down again: it goes on where it stopped');
    await lay(card);
    expect(said()).toContain('The card is made');
  });

  it('says that the line broke, and does nothing more with the card until it is laid down again', async () => {
    hub.muteFrom = 3;
    const card = preparedCard();
    await lay(card);
    hub.listener({ type: 'down', why: 'pulled' });
    for (let turn = 0; turn < 10; turn += 1) await new Promise((done) => setImmediate(done));
    expect(said()).toContain('The line to the hub broke. Wait until it is online');
    const sent = plate.sent.length;
    hub.muteFrom = Number.POSITIVE_INFINITY;
    hub.listener({ type: 'up' });
    clock.pass(60_000);
    expect(plate.sent).toHaveLength(sent);
    lift();
    await lay(card);
    expect(said()).toContain('The card is made');
  });

  it('says for how long the hub has not been heard, and helps when asked', () => {
    hub.listener({ type: 'down', why: 'pulled' });
    clock.pass(125_000);
    expect(screens.at(-1)?.badges).toEqual([{ id: 'Terputus 2 menit', en: 'Offline for 2 min' }]);
    press('help');
    expect(said()).toContain('Help');
  });
});

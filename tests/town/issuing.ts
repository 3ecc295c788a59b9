/** An issuing kiosk at a reader: enrolled for that work, the shipped loop, cards laid down one after the other. */
import type { Card } from './card.ts';
import type { Trouble } from './field.ts';
import { eventually, openKiosk, type TownKiosk } from './kiosk.ts';
import type { Pcscd } from './pcscd.ts';
import { enrolKiosk, type Office, type Place } from './town.ts';

export interface IssuingKiosk extends TownKiosk {
  /**
   * Lays a card down alone, waits until the screen says how it ended, takes the card away and waits until the reader
   * has noticed.
   * @returns that screen as it was printed: `[OK]` is on it when the card was served, `[X]` when not.
   */
  serve(card: Card, trouble?: Trouble): Promise<string>;
}

/** Whether a screen of `serve` says that the card was served. */
export const wasServed = (screen: string): boolean => screen.startsWith('[OK]');

/** Any outlet will do: an issuing kiosk is paid nothing. */
const OUTLET = 'stall-12';

/** Enrols an issuing kiosk. @returns its directory, ready for `simpul-kiosk run`. */
export const enrolIssuing = (place: Place, office: Office, name: string): Promise<string> =>
  enrolKiosk(place, office, name, OUTLET, { role: 'issuing' });

/**
 * Starts the issuing kiosk that was enrolled in `dir` and waits until it is ready.
 * @param port where it dials the hub; the one of its settings when left out
 */
export async function openIssuing(dir: string, pcscd: Pcscd, port?: number): Promise<IssuingKiosk> {
  const kiosk = await openKiosk(dir, pcscd, port);
  return {
    ...kiosk,
    async serve(card, trouble) {
      const from = kiosk.screens.length;
      const laid = await kiosk.lay(card, trouble);
      const screen = await eventually(
        () => `the end of a card, after ${kiosk.screens.slice(from).join('')}`,
        () => {
          const since = kiosk.screens.slice(from);
          // The screen of the card before is drawn again when that one has left.
          const begun = since.findIndex((text) => text.includes('Tahan kartu'));
          return begun < 0 ? null : since.slice(begun).find((text) => /^\[(OK|X)\]/.test(text));
        },
      );
      await laid.remove();
      await kiosk.left();
      return screen;
    },
  };
}

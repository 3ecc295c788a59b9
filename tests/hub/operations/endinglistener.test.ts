/** Whoever hears a card being emptied and ended, and holds its key 1, learns no other key of it. */
import { expect, onTestFinished, test } from 'vitest';
import { diversification, diversifier } from '../../../cards/diversify.ts';
import { hexUid } from '../../town/cardstock.ts';
import { openDesk } from '../../town/desk.ts';
import { type Exchange, opens, sessionsOf, windows, written } from '../../town/eavesdropper.ts';
import { field } from '../../town/field.ts';

const FACTORY_KEY = new Uint8Array(16);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('a listener with the factory’s keys and key 1 opens the drain, and nothing that was written', async () => {
  const desk = await openDesk();
  onTestFinished(() => desk.close());
  const card = await desk.make('tk-0001');
  await desk.load(card, 35_000n);
  await desk.become(card, 'replaced');
  const { issuer, tmacKeyVersion } = desk.known(card);
  const uid = hexUid(card);
  const versions = [1, 255].map((keyVersion) => desk.hub.vault.cardKeys(issuer, uid, { keyVersion, tmacKeyVersion }));
  const secrets = versions.flatMap((keys) =>
    keys === null ? [] : [keys.app, keys.spare2, keys.credit, keys.spare4, keys.tmac],
  );
  expect(secrets).toHaveLength(10);
  const exchanges: Exchange[] = [];
  const reader = field(card);
  reader.insert();
  const end = await desk.serveBy(card, async (sent) => {
    const got = await reader.transmit(sent);
    exchanges.push({ sent, got });
    return got;
  });
  expect(end).toMatchObject({ done: 'retired', amount: 35_000 });

  const heard = windows(Buffer.concat(exchanges.flatMap(({ sent, got }) => [sent, got])));
  const fromFactory = diversifier(FACTORY_KEY);
  const told = [0, 1, 2, 3, 4, 15].flatMap((no) =>
    [0, 1, 255].map((version) => fromFactory(diversification(card.memory.uid, no, version))),
  );
  const key1 = desk.hub.vault.cardKey1(uid, 1);
  const guesses = [FACTORY_KEY, key1, ...told, ...heard];
  const sessions = sessionsOf(exchanges);
  expect(sessions.map(({ keyNo }) => keyNo)).toEqual([1, 0, 0, 0]);
  const opened = sessions.map((session) => guesses.some((key) => opens(session, key)));
  expect(opened).toEqual([true, false, false, false]);
  const learnt = new Set(heard.map(hex));
  for (const secret of secrets) expect(learnt.has(hex(secret))).toBe(false);
  // Who holds key 0 would read what is written under it: the listener looks in the right place.
  const [, own] = sessions;
  const app = versions[0]?.app ?? FACTORY_KEY;
  expect(own !== undefined && opens(own, app) && written(own, app).length).toBeGreaterThan(0);
});

/** A member of one cooperative pays at another's stall: real reader stack, real TLS, real ledger file. */
import { PassThrough } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import type { Hub } from '../../hub/serve.ts';
import { readConfig } from '../../kiosk/config.ts';
import { startKiosk } from '../../kiosk/start.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import type { Card } from '../town/card.ts';
import type { Trouble } from '../town/field.ts';
import { openPool, type Pool } from '../town/pcscd.ts';
import { enrolKiosk, identityOf, issueCard, makePlace, type Place, removePlace, startPlace } from '../town/town.ts';
import { lay } from '../town/vpicc.ts';

const DEWI = '04175350554c80';
const COMMIT = 8;
const PATIENCE_MS = 20_000;
const account = (cooperative: string, kind: Account['kind'], owner: string): Account => ({
  cooperative: cooperative as CooperativeId,
  kind,
  owner,
});
const MEMBER = account('toko', 'member', 'tk-0001');
const STALL = account('pasar', 'payout', 'stall-12');

let pool: Pool;
beforeAll(async () => {
  pool = await openPool(2);
});
afterAll(() => pool.close());

/** A place with one stall whose kiosk sees a card through a private pcscd. */
async function open() {
  const place: Place = await makePlace();
  const hub: Hub = await startPlace(place);
  const dir = await enrolKiosk(place, hub, 'lapak-12', 'stall-12');
  const { pcscd, release } = await pool.lease();
  const input = new PassThrough();
  const output = new PassThrough();
  let shown = '';
  output.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  // The kiosk hands its environment to the reader program, so the private pcscd is named on the command line.
  const env = `PCSCLITE_CSOCK_NAME=${pcscd.socketName}`;
  const config = {
    ...readConfig(dir),
    reader: ['/usr/bin/env', env, ...pcscd.reader.command] as [string, ...string[]],
  };
  const failures: unknown[] = [];
  const stop = startKiosk({
    dir,
    config,
    identity: identityOf(dir),
    terminal: { input, output, colour: false, interrupted: () => undefined },
    log: () => undefined,
    failed: (error) => failures.push(error),
  });
  const card: Card = issueCard(hub.vault, hub.registry, DEWI);
  const until = async (words: string) => {
    const deadline = performance.now() + PATIENCE_MS;
    while (!shown.includes(words)) {
      if (performance.now() > deadline) throw new Error(`never showed "${words}", but: ${shown}`);
      await wait(20);
    }
    shown = shown.slice(shown.indexOf(words) + words.length);
  };
  await until('Siap');
  return {
    until,
    async arm(amount: string) {
      input.write(`${amount}\n`);
      await until('Tekan Enter');
      input.write('\n');
      await until('Tap kartu');
    },
    lay: async (trouble?: Trouble) => lay(card, await pcscd.connect(), trouble),
    hub: () => hub,
    async close() {
      await stop();
      await hub.close();
      release();
      removePlace(place);
      expect(failures).toEqual([]);
    },
  };
}

test('a member of the shop pays Rp 50.000 at a market stall, and each book balances', async () => {
  const town = await open();
  await town.arm('50000');
  const card = await town.lay();
  await town.until('Dibayar');
  await card.remove();
  const others = [
    account('toko', 'position', 'pasar'),
    account('pasar', 'position', 'toko'),
    account('toko', 'fee-income', '-'),
    account('pasar', 'fee-income', '-'),
    account('platform', 'fee-income', '-'),
  ];
  expect(await town.hub().ledger.balances([MEMBER, STALL, ...others])).toEqual([
    950_000n,
    49_650n,
    49_850n,
    -49_850n,
    150n,
    150n,
    50n,
  ]);
  const books = await town.hub().ledger.trialBalance();
  expect(books).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [] });
  await town.close();
});

test('a card torn while it commits is shown as being checked, and its return pays once', async () => {
  const town = await open();
  await town.arm('20000');
  const torn = await town.lay({ tear: { apdu: COMMIT, when: 'after' } });
  await torn.gone;
  await town.until('Tap lagi kartu');
  // pcscd notices by polling that a card has left; it must have, before the next one is laid down.
  await wait(1500);
  const again = await town.lay();
  await town.until('Dibayar');
  await again.remove();
  expect(await town.hub().ledger.balances([MEMBER, STALL])).toEqual([980_000n, 19_860n]);
  await town.close();
});

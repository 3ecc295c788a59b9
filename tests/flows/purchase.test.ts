/** A member of one cooperative pays at another's stall: real reader stack, real TLS, real ledger file. */
import { expect, onTestFinished, test } from 'vitest';
import type { Account } from '../../hub/rules/accounts.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import { openKiosk } from '../town/kiosk.ts';
import { openPcscd } from '../town/pcscd.ts';
import { enrolKiosk, issueCard, makePlace, removePlace, startPlace } from '../town/town.ts';

const DEWI = '04175350554c80';
const account = (cooperative: string, kind: Account['kind'], owner: string): Account => ({
  cooperative: cooperative as CooperativeId,
  kind,
  owner,
});

test('a member of the shop pays Rp 50.000 at a market stall, and each book balances', async () => {
  const pcscd = await openPcscd();
  onTestFinished(() => pcscd.close());
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  const dir = await enrolKiosk(place, hub, 'lapak-12', 'stall-12');
  const kiosk = await openKiosk(dir, pcscd);
  onTestFinished(() => kiosk.close());

  await kiosk.arm('50000');
  await kiosk.lay(issueCard(hub.vault, hub.registry, DEWI));
  await kiosk.until('Dibayar. Terima kasih');
  const accounts = [
    account('toko', 'member', 'tk-0001'),
    account('pasar', 'payout', 'stall-12'),
    account('toko', 'position', 'pasar'),
    account('pasar', 'position', 'toko'),
    account('toko', 'fee-income', '-'),
    account('pasar', 'fee-income', '-'),
    account('platform', 'fee-income', '-'),
  ];
  expect(await hub.ledger.balances(accounts)).toEqual([950_000n, 49_650n, 49_850n, -49_850n, 150n, 150n, 50n]);
  const books = await hub.ledger.trialBalance();
  expect(books).toMatchObject({ total: 0n, brokenPairs: [], brokenAccounts: [], brokenEntries: [] });
});

/** A member pays with an NTAG 424 at another cooperative's stall: real reader stack, real TLS, real ledger file. */
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { verifyTranscript } from '../../cards/tagpayment.ts';
import { hubPaths } from '../../hub/config.ts';
import { readTagEvidence } from '../../hub/rules/tagevidence.ts';
import { keyNumber } from '../../hub/store/sqlite/decisions.ts';
import type { CooperativeId } from '../../protocol/ids.ts';
import { hexUid, newTag, orderCard, prepareChip } from '../town/cardstock.ts';
import { enrolIssuing, openIssuing } from '../town/issuing.ts';
import { eventually, openKiosk } from '../town/kiosk.ts';
import { ledgerFile } from '../town/ledgerfile.ts';
import { openPcscd } from '../town/pcscd.ts';
import { openProxy } from '../town/proxy.ts';
import { issuedTag } from '../town/tags.ts';
import { enrolKiosk, makePlace, type Place, removePlace, startPlace } from '../town/town.ts';

const TOKO = 'toko' as CooperativeId;
const DEWI = 'tk-0001';

async function town() {
  const pcscd = await openPcscd();
  onTestFinished(() => pcscd.close());
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  return { pcscd, place, hub, ledger: ledgerFile(place) };
}

function evidenceOf({ directory }: Place, kiosk: number, seq: number) {
  const db = new Database(hubPaths(directory).ledger, { readonly: true });
  try {
    const row = db
      .prepare('SELECT evidence FROM entry WHERE key = ?')
      .pluck()
      .get(keyNumber({ origin: kiosk, seq }));
    return readTagEvidence(row as Uint8Array);
  } finally {
    db.close();
  }
}

test('a member of the shop pays at a market stall with a tag; the books balance, the transcript holds', async () => {
  const { pcscd, place, hub, ledger } = await town();
  const tag = await issuedTag(hub, DEWI);
  const dir = await enrolKiosk(place, hub, 'lapak-12', 'stall-12');
  const kiosk = await openKiosk(dir, pcscd);
  onTestFinished(() => kiosk.close());
  await kiosk.arm('50000');
  const torn = await kiosk.lay(tag, { tear: { apdu: 3, when: 'before' } });
  await kiosk.until('Belum terbayar. Tap lagi');
  await torn.remove();
  await kiosk.left();
  expect(ledger.decision(kiosk.no, 1)).toBeNull();

  await kiosk.lay(tag);
  const paid = await kiosk.until('Dibayar. Terima kasih');
  expect(paid).toContain('Rp 950.000');
  expect(ledger.decision(kiosk.no, 1)).toMatchObject({ outcome: 'approved', entry: true });
  const of = (cooperative: string, kind: 'member' | 'payout' | 'position', owner: string) =>
    ledger.balance({ cooperative: cooperative as CooperativeId, kind, owner });
  expect(of('toko', 'member', DEWI)).toBe(950_000n);
  expect(of('pasar', 'payout', 'stall-12')).toBe(49_650n);
  expect(of('toko', 'position', 'pasar') + of('pasar', 'position', 'toko')).toBe(0n);
  expect(ledger.faults()).toEqual([]);

  const said = evidenceOf(place, kiosk.no, 1);
  const key = hub.vault.tagKeyring(TOKO, hexUid(tag))(1, 1);
  if (said === null || key === null) throw new Error('the ledger holds no transcript');
  expect(said).toMatchObject({ kiosk: kiosk.no, seq: 1, amount: 50_000n });
  expect(verifyTranscript(key, said)).toBe(true);
  expect(tag.memory.failures).toBe(0);
});

test('an issuing kiosk makes a prepared tag the card of the member who ordered', async () => {
  const { pcscd, place, hub } = await town();
  const kiosk = await openIssuing(await enrolIssuing(place, hub, 'meja-1'), pcscd);
  onTestFinished(() => kiosk.close());
  const number = orderCard(hub, DEWI);
  const tag = newTag();
  expect(await prepareChip(hub, tag, {}, 'ntag424')).toMatchObject({ ok: true });
  expect(await kiosk.serve(tag)).toContain('Kartu jadi');
  expect(hub.registry.card(hexUid(tag))).toMatchObject({ status: 'ready', number, member: DEWI });
});

test('a sale whose answer was lost with the line is asked about and turns green, and is charged once', async () => {
  const { pcscd, place, hub, ledger } = await town();
  const tag = await issuedTag(hub, DEWI);
  const dir = await enrolKiosk(place, hub, 'lapak-12', 'stall-12');
  const proxy = await openProxy(hub.port);
  onTestFinished(() => proxy.close());
  const kiosk = await openKiosk(dir, pcscd, proxy.port);
  onTestFinished(() => kiosk.close());
  await kiosk.arm('50000');
  const process = (apdu: Uint8Array) => {
    // The card's proof still goes up; what the hub says to it stays on the way.
    if (apdu[1] === 0xaf) proxy.hold('down');
    return tag.process(apdu);
  };
  const laid = await kiosk.lay({ ...tag, process });
  await eventually(
    () => 'the decision of the hub',
    () => ledger.decision(kiosk.no, 1)?.outcome === 'approved',
  );
  expect(kiosk.screens.join('')).not.toContain('Dibayar');
  const { port } = hub;
  await hub.close();
  await kiosk.until('Sedang dicek');
  await laid.remove();
  const again = await startPlace(place, {}, port);
  onTestFinished(() => again.close());
  proxy.release();
  await kiosk.until('Dibayar. Terima kasih');
  expect(ledger.balance({ cooperative: TOKO, kind: 'member', owner: DEWI })).toBe(950_000n);
  expect(ledger.faults()).toEqual([]);
});

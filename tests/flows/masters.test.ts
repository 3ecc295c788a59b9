/** A kiosk that may hold the debit masters sells with keys of its own making, and its stolen disk gives none. */
import { createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeRelay } from '../../hub/operations/relay.ts';
import { makeService } from '../../hub/operations/service.ts';
import type { Hub } from '../../hub/serve.ts';
import type { Kiosk } from '../../hub/store/registry.ts';
import { tellCards } from '../../hub/tellcards.ts';
import { boxPath } from '../../kiosk/masters.ts';
import type { KioskNo } from '../../protocol/ids.ts';
import { type MasterBox, masterBoxContext } from '../../protocol/masterbox.ts';
import type { Card } from '../town/card.ts';
import { hexUid, newChip, noReload, noTagSale, orderCard, prepareChip, quiet, relayed } from '../town/cardstock.ts';
import { field } from '../town/field.ts';
import { eventually, openKiosk } from '../town/kiosk.ts';
import { openPcscd } from '../town/pcscd.ts';
import { TAG_ADDRESS } from '../town/tags.ts';
import { enrolKiosk, makePlace, removePlace, startPlace } from '../town/town.ts';

/** A card made as cards are made, and handed to its member. */
async function memberCard(hub: Hub, desk: Kiosk, member: string): Promise<Card> {
  const card = newChip();
  orderCard(hub, member);
  await prepareChip(hub, card);
  const reader = field(card);
  reader.insert();
  const relay = makeRelay({
    service: makeService({
      ...hub,
      ...(await quiet(hub)),
      random: randomBytes,
      now: Date.now,
      tagAddress: TAG_ADDRESS,
    }),
    reload: noReload,
    'tag-sale': noTagSale,
  });
  await relayed(relay, { ...desk, role: 'issuing' }, { deed: 'service', uid: hexUid(card) }, reader.transmit);
  reader.remove();
  const ready = hub.registry.card(hexUid(card));
  if (ready === undefined) throw new Error('no card was made');
  hub.registry.putCard({ ...ready, status: 'active' });
  await tellCards(hub.registry, hub.ledger);
  return card;
}

/** Whether this key opens the box; a thief has no other way to ask. */
function opens({ kiosk, version, nonce, sealed }: MasterBox, key: Uint8Array): boolean {
  const box = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'hex'));
  decipher.setAAD(Buffer.from(masterBoxContext(kiosk, version)));
  decipher.setAuthTag(box.subarray(-16));
  try {
    decipher.update(box.subarray(0, -16));
    decipher.final();
    return true;
  } catch {
    return false;
  }
}

/** Every run of 32 bytes on a disk, as it lies there and as hex or base64 texts spell it. */
function* keysOnDisk(dir: string): Generator<Uint8Array> {
  for (const name of readdirSync(dir)) {
    const content = readFileSync(join(dir, name));
    const spelled = [...content.toString('latin1').matchAll(/[A-Za-z0-9+/_-]{40,}={0,2}/g)].flatMap(([text]) => [
      Buffer.from(text, 'base64'),
      Buffer.from(text, 'hex'),
    ]);
    for (const bytes of [content, ...spelled]) {
      for (let at = 0; at + 32 <= bytes.length; at++) yield bytes.subarray(at, at + 32);
    }
  }
}

test('the sale needs no key from the hub, and its stolen disk holds no key and nothing to open the box', async () => {
  const pcscd = await openPcscd();
  onTestFinished(() => pcscd.close());
  const place = await makePlace();
  onTestFinished(() => removePlace(place));
  const hub = await startPlace(place);
  onTestFinished(() => hub.close());
  const dir = await enrolKiosk(place, hub, 'angkot-7', 'stall-12', { offline: true });
  const desk = hub.registry.kiosks().find(({ name }) => name === 'angkot-7');
  if (desk === undefined) throw new Error('not enrolled');
  const card = await memberCard(hub, desk, 'tk-0001');
  const kiosk = await openKiosk(dir, pcscd);
  await eventually(
    () => 'the sealed masters on the disk',
    () => existsSync(boxPath(dir)),
  );
  await kiosk.arm('50000');
  await kiosk.lay(card);
  await kiosk.until('Dibayar. Terima kasih');
  const asked = (await hub.metrics.answers.get()).values.filter(({ labels }) => labels.conversation === 'cardkey');
  expect(asked).toEqual([]);
  await kiosk.close();

  const box = JSON.parse(readFileSync(boxPath(dir), 'utf8')) as MasterBox;
  expect(opens(box, hub.vault.releaseKey(desk.no as KioskNo, box.version))).toBe(true);
  const key1 = Buffer.from(hub.vault.cardKey1(hexUid(card), 1));
  let tried = 0;
  for (const key of keysOnDisk(dir)) {
    tried += 1;
    if (key1.equals(key.subarray(0, 16)) || opens(box, key)) throw new Error('a usable key lies on the disk');
  }
  expect(tried).toBeGreaterThan(10_000);
});

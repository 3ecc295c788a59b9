/** NTAG 424 cards, made as they are for real: prepared with the vault's keys and served by the hub through a kiosk. */
import { randomBytes } from 'node:crypto';
import { makeRelay } from '../../hub/operations/relay.ts';
import { makeService } from '../../hub/operations/service.ts';
import type { Hub } from '../../hub/serve.ts';
import type { Kiosk } from '../../hub/store/registry.ts';
import { tellCards } from '../../hub/tellcards.ts';
import type { KioskName, KioskNo, OutletId } from '../../protocol/ids.ts';
import type { Card } from './card.ts';
import { hexUid, newTag, noReload, noTagSale, orderCard, prepareChip, quiet, relayed } from './cardstock.ts';
import { field, type Trouble } from './field.ts';

export const TAG_ADDRESS = 'https://hub.example.org/t';

/** A kiosk as the registry knows it, with nothing behind it. */
export const kioskOf = (role: Kiosk['role'], no = 1): Kiosk => ({
  no: no as KioskNo,
  name: `meja-${no}` as KioskName,
  outlet: 'stall-12' as OutletId,
  serial: `0${no}`,
  sealingKey: new Uint8Array(65),
  witness: new Uint8Array(),
  role,
  offline: false,
  revoked: false,
});

interface Desk extends Pick<Hub, 'vault' | 'registry'> {
  readonly ledger: Hub['ledger'];
}

/** Lays a card on an issuing kiosk's reader. @returns how the hub ended its service. */
export async function serving({ vault, registry, ledger }: Desk, card: Card, trouble?: Trouble) {
  const parts = { vault, registry, ledger, ...(await quiet({ ledger })) };
  const relay = makeRelay({
    service: makeService({ ...parts, random: randomBytes, now: Date.now, tagAddress: TAG_ADDRESS }),
    reload: noReload,
    'tag-sale': noTagSale,
  });
  const reader = field(card);
  reader.insert(trouble);
  const end = await relayed(relay, kioskOf('issuing'), { deed: 'service', uid: hexUid(card) }, reader.transmit);
  reader.remove();
  return end;
}

/** A tag that is a member's card in use. */
export async function issuedTag(hub: Desk, member: string): Promise<Card> {
  const tag = newTag();
  const prepared = await prepareChip(hub, tag, {}, 'ntag424');
  if (!prepared.ok) throw new Error(`the tag was not prepared: ${prepared.reason} at ${prepared.at}`);
  orderCard(hub, member);
  const end = await serving(hub, tag);
  const card = hub.registry.card(hexUid(tag));
  if (card === undefined) throw new Error(`no card was made: ${JSON.stringify(end)}`);
  hub.registry.putCard({ ...card, status: 'active' });
  await tellCards(hub.registry, hub.ledger);
  return tag;
}

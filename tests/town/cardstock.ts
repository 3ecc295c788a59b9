/** Cards made as they are for real: prepared with the vault's keys, ordered, and served by the hub through a kiosk. */
import { randomBytes } from 'node:crypto';
import { goesOn, parseResponse } from '../../cards/apdu.ts';
import type { JournalChange } from '../../cards/keyring.ts';
import { LIGHT, NTAG } from '../../cards/layout.ts';
import { prepare } from '../../cards/prepare.ts';
import { prepareEv } from '../../cards/prepareev.ts';
import { play } from '../../cards/script.ts';
import type { Operation, Reply } from '../../hub/mqtt/router.ts';
import type { Begin } from '../../hub/operations/relay.ts';
import { openTransit } from '../../hub/operations/transit.ts';
import type { Hub } from '../../hub/serve.ts';
import type { Profile } from '../../hub/store/cardstock.ts';
import type { Kiosk } from '../../hub/store/registry.ts';
import type { CardUid, CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { RelayAnswer, RelayEnd, RelayStart } from '../../protocol/relay.ts';
import { blankCard } from './blank.ts';
import type { Card } from './card.ts';
import { blankDesfire, type DesfireCard } from './desfire.ts';
import { field, type Trouble } from './field.ts';
import { blankNtag } from './ntag.ts';

/** What the vault's host has: the hub itself, or its office while the hub runs elsewhere. */
export type StockOffice = Pick<Hub, 'vault' | 'registry'>;

export const hexUid = (card: Card): CardUid => Buffer.from(card.memory.uid).toString('hex') as CardUid;

/** A chip out of the box. Its maker's signature is nobody's: who prepares it here does not ask. */
export const newChip = (): Card => blankCard({ uid: Uint8Array.of(0x04, ...randomBytes(6)), random: randomBytes });

/** An NTAG 424 out of the box. */
export const newTag = (): Card => blankNtag({ uid: Uint8Array.of(0x04, ...randomBytes(6)), random: randomBytes });

/** An EV3 out of the box. */
export const newDesfire = (): DesfireCard =>
  blankDesfire({ uid: Uint8Array.of(0x04, ...randomBytes(6)), generation: 'EV3', random: randomBytes });

/**
 * Prepares a chip with the vault's keys, as it is done at the vault's host.
 * @param profile left out: a Light
 */
export async function prepareChip(
  { vault, registry }: StockOffice,
  card: Card,
  trouble?: Trouble,
  profile: Profile = 'desfire-light',
) {
  const uid = hexUid(card);
  const { keyVersion: version } = vault.versions();
  const known = (registry.chip(uid)?.keyVersion ?? 0) > 0;
  if (registry.chip(uid) === undefined) registry.putChip({ uid, profile, keyVersion: 0 });
  const reader = field(card);
  reader.insert(trouble);
  const order = {
    // Key 0 is nobody's in particular: any issuer's ring holds it.
    ring: vault.keyring('-' as CooperativeId, uid),
    version,
    random: randomBytes,
    genuine: () => true,
    journal: (change: Parameters<JournalChange>[0]) => registry.journalKey({ uid, at: Date.now(), ...change }),
    known,
  };
  const result = await play(
    profile === 'desfire-ev' ? prepareEv(order) : prepare({ ...order, profile: profile === 'ntag424' ? NTAG : LIGHT }),
    reader.transmit,
  );
  reader.remove();
  if (result.ok) registry.proveKeys(uid, version);
  return result;
}

let numbers = 0;

/** Places an order for a card of this member. @returns the number it will have. */
export function orderCard({ registry }: StockOffice, member: string, batch = 'town'): string {
  numbers += 1;
  const number = `9360${String(process.pid).padStart(7, '0')}${String(numbers).padStart(5, '0')}`;
  registry.placeOrders([{ number, member: member as MemberId, batch, at: Date.now() }]);
  return number;
}

const AUTHENTICATION_ERROR = 0x91ae;

/** Counts from now on how often this card says that a key is wrong: its own count starts anew at each success. */
export function failedTries(card: Card): () => number {
  const process = card.process.bind(card);
  let count = 0;
  card.process = (apdu) => {
    const reply = process(apdu);
    if (parseResponse(reply)?.status === AUTHENTICATION_ERROR) count += 1;
    return reply;
  };
  return () => count;
}

/** What a hub has beside its files, for one that is put together by hand: its open reloads, and alarms nobody hears. */
export async function quiet({ ledger }: Pick<Hub, 'ledger'>) {
  const hush = () => undefined;
  return { transit: await openTransit(ledger), alarms: { raise: hush, echo: hush } };
}

/** Everything that passed through a kiosk in one conversation, as JSON texts and bytes. */
export interface Overheard {
  readonly said: string[];
  readonly exchanges: { readonly sent: Uint8Array; readonly got: Uint8Array }[];
}

/** For hubs of tests that load no purses. */
export const noReload: Begin<'reload'> = () => ({ refusal: 'not-allowed', detail: 'this hub loads no purses' });

/** For hubs of tests that sell with no tags. */
export const noTagSale: Begin<'tag-sale'> = () => ({ refusal: 'not-allowed', detail: 'this hub sells with no tags' });

/** A kiosk's part in a relayed conversation, without a kiosk: passes bytes on as protocol/relay.ts says. */
export async function relayed(
  relay: Operation<'relay'>,
  kiosk: Kiosk,
  start: RelayStart,
  transmit: (apdu: Uint8Array) => Promise<Uint8Array>,
  heard: Overheard = { said: [], exchanges: [] },
): Promise<RelayEnd | Extract<Reply, { readonly refusal: unknown }>> {
  const talk = randomBytes(8).toString('hex');
  const ask = async (rest: object) => {
    const body = { talk, ...rest } as Parameters<typeof relay>[0]['body'];
    const reply = await relay({ kiosk, body, hash: '' });
    heard.said.push(JSON.stringify(body), 'body' in reply ? reply.body : JSON.stringify(reply));
    return reply;
  };
  let reply = await ask({ turn: 0, start });
  for (let turn = 1; ; turn++) {
    if ('refusal' in reply) return reply;
    const answer = JSON.parse(reply.body) as RelayAnswer;
    if ('end' in answer) return answer.end;
    const responses: string[] = [];
    for (const command of answer.commands) {
      const sent = Buffer.from(command, 'hex');
      const got = await transmit(sent);
      heard.exchanges.push({ sent, got });
      responses.push(Buffer.from(got).toString('hex'));
      const response = parseResponse(got);
      if (response === null || !goesOn(response.status)) break;
    }
    reply = await ask({ turn, responses });
  }
}

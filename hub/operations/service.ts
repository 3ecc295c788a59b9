/** Service: at an issuing kiosk, whatever the card on the reader needs. */
import type { CardUid } from '../../protocol/ids.ts';
import { type EndingDeps, endCard } from './ending.ts';
import { bindChip, type PersonaliseDeps, personaliseCard } from './personalise.ts';
import { personaliseTagCard } from './personalisetag.ts';
import type { Begin } from './relay.ts';
import { needsRenewal, renew } from './renew.ts';

/**
 * A prepared chip becomes a member's card; one that was torn on the way goes on; a card in use gets newer keys when the
 * vault has some; a frozen one is emptied, and one that has ended is emptied and loses its keys. Which of it is the
 * hub's to say: the kiosk only says which UID lies there.
 */
export function makeService(deps: PersonaliseDeps & EndingDeps): Begin<'service'> {
  const { registry } = deps;
  return (kiosk, { uid: text }) => {
    if (kiosk.role !== 'issuing') {
      const detail = `kiosk ${kiosk.name} is no issuing kiosk`;
      return { refusal: 'not-allowed', detail, alarm: 'role-foreign' };
    }
    const uid = text as CardUid;
    const card = registry.card(uid) ?? bindChip(deps, uid);
    if ('refusal' in card) return card;
    const { status, number, made } = card;
    const tag = registry.chip(uid)?.profile === 'ntag424';
    switch (status) {
      case 'personalising':
      case 'ready':
        if (made === null) throw new Error(`card ${number} is ${status} and was not made here`);
        return tag ? personaliseTagCard(deps, card) : personaliseCard(deps, card, made);
      case 'frozen':
      case 'replaced':
      case 'retired':
        if (tag && status === 'frozen') return { refusal: 'card-blocked', detail: `card ${number} is frozen` };
        return endCard(deps, kiosk, card);
      case 'active':
        if (needsRenewal(deps, card)) return renew(deps, card);
        return { next: () => Promise.resolve({ done: 'sound', number }) };
    }
  };
}

/** The kiosk's part in fetching a card's key: from what it holds, from the card itself, or from the hub. */
import type { CardKeyGrant, CardKeyRequest } from '../protocol/cardkey.ts';
import type { CardKeys } from './cardkeys.ts';
import type { Greeting } from './greeting.ts';
import type { Reader } from './reader.ts';
import type { Present, TillEvent } from './rules/sale.ts';
import { tellVersion } from './tap.ts';

export interface KeyTalkDeps {
  readonly reader: Pick<Reader, 'transmit'>;
  readonly cardKeys: CardKeys;
  readonly greeting: Greeting | null;
  readonly log: (what: string, detail: string) => void;
  readonly ask: (question: CardKeyRequest) => void;
  readonly told: (event: TillEvent & { readonly type: 'card-key' }) => void;
  /** A bug: the loop ends. */
  readonly failed: (error: unknown) => void;
}

export interface KeyTalk {
  /** Finds the key of a card, or asks for it; what comes of it is told, at once or later. */
  fetch(card: Present): void;
  granted(grant: CardKeyGrant): void;
}

export function makeKeyTalk({ reader, cardKeys, greeting, log, ask, told, failed }: KeyTalkDeps): KeyTalk {
  function found(uid: string): void {
    const issuer = cardKeys.find(uid)?.issuer;
    told({ type: 'card-key', uid, state: 'held', ...(issuer === undefined ? {} : { issuer }) });
  }

  /** Asks the hub for a card's key, of the version that the card tells. */
  function askHub(card: Present): void {
    const { uid } = card;
    tellVersion({ reader }, card).then((version) => ask(version === null ? { uid } : { uid, told: version }), failed);
  }

  return {
    fetch(card) {
      const { uid } = card;
      if (cardKeys.stopped(uid)) told({ type: 'card-key', uid, state: 'stopped' });
      else if (cardKeys.find(uid) !== null) found(uid);
      else if (greeting === null) askHub(card);
      else greeting(card).then((held) => (held ? found(uid) : askHub(card)), failed);
    },
    granted(grant) {
      const { uid } = grant;
      cardKeys.accept(grant).then((accepted) => {
        if (accepted === 'unsealed') log('a card key was not sealed to this kiosk', uid);
        else if (accepted === 'held') found(uid);
        else told({ type: 'card-key', uid, state: accepted });
      }, failed);
    },
  };
}

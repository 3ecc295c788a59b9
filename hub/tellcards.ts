/** Tells the ledger what became of cards: the registry has its own file, and the ledger judges by what it was told. */
import type { Ledger } from './store/ledger.ts';
import type { Registry } from './store/registry.ts';

/** After personalising, a card has committed four transactions (TRUTH section 2). */
const TMC_AFTER_PERSONALISING = 4;

/**
 * A tag certifies nothing, so it has no chain: version 0, which no certificate can name (operations/certificate.ts).
 */
const NO_CHAIN = { keyVersion: 0, tmc: 0 } as const;

/** Resolves when the ledger has on its disk what the registry said of every card; what a crash cut off comes again. */
export async function tellCards(registry: Pick<Registry, 'untold' | 'told' | 'chip'>, ledger: Pick<Ledger, 'putCard'>) {
  await Promise.all(
    registry.untold().map(async (card) => {
      const { uid, status, tmacKeyVersion } = card;
      const tag = registry.chip(uid)?.profile === 'ntag424';
      const chain = tag ? NO_CHAIN : { keyVersion: tmacKeyVersion, tmc: TMC_AFTER_PERSONALISING };
      await ledger.putCard({ uid, status, ...chain });
      registry.told(card);
    }),
  );
}

/** The cards of the bench and their members, each with a balance: written the fast way, since they are many. */
import { hubPaths } from '../../../hub/config.ts';
import { HUB_ORIGIN, type PostRequest } from '../../../hub/store/ledger.ts';
import { openDatabase } from '../../../hub/store/sqlite/database.ts';
import { openEngine, type Work } from '../../../hub/store/sqlite/engine.ts';
import type { CardUid, CooperativeId, MemberId } from '../../../protocol/ids.ts';

/** One account sale in twenty meets an empty account. */
const POOR_EVERY = 20;
const RICH = 1_000_000n;
const POOR = 100n;
/** Cards and openings in one commit. */
const BATCH = 512;

/** The UID of the card with this index. */
export const uidOf = (index: number) => `04${index.toString(16).padStart(10, '0')}80` as CardUid;
const memberOf = (index: number) => `m-${index}` as MemberId;

/** Cards and openings go through the ledger's own engine; the registry's rows are written in one commit. */
export function settleCards(directory: string, cooperatives: readonly CooperativeId[], cards: number): void {
  const paths = hubPaths(directory);
  const engine = openEngine({ path: paths.ledger });
  const registry = openDatabase(paths.registry, 'registry.sql');
  const member = registry.prepare('INSERT INTO member (id, cooperative, name) VALUES (?, ?, ?)');
  const chip = registry.prepare("INSERT INTO chip (uid, profile, key_version) VALUES (?, 'desfire-light', 1)");
  // The ledger is told here of what the registry says.
  const card = registry.prepare(
    `INSERT INTO card (uid, number, issuer, member, key_version, tmac_key_version, status, told)
      VALUES (?, ?, ?, ?, 1, 1, 'active', 'active 1')`,
  );
  registry.exec('BEGIN');
  let batch: Work[] = [];
  for (let index = 0; index < cards; index += 1) {
    const cooperative = cooperatives[index % cooperatives.length];
    if (cooperative === undefined) throw new Error('the town has no cooperative');
    member.run(memberOf(index), cooperative, `Anggota ${index}`);
    chip.run(uidOf(index));
    card.run(uidOf(index), String(979_200_000_000 + index), cooperative, memberOf(index));
    const amount = Math.floor(index / cooperatives.length) % POOR_EVERY === 0 ? POOR : RICH;
    const facts = { amount, card: null, issuer: cooperative, acquirer: cooperative, outlet: null };
    const figures = { cooperative, member: memberOf(index), amount };
    const request: PostRequest = {
      key: { origin: HUB_ORIGIN, seq: index + 1 },
      hash: '',
      at: Date.now(),
      verdict: { approve: { kind: 'opening', figures }, guards: [] },
      slot: null,
      facts,
      evidence: null,
    };
    batch.push({ do: 'card', card: { uid: uidOf(index), status: 'active', keyVersion: 1, tmc: 4 } });
    batch.push({ do: 'post', request });
    if (batch.length < BATCH && index < cards - 1) continue;
    const failed = engine.apply(batch).find((answer) => answer.kind !== 'done' && answer.kind !== 'decided');
    if (failed !== undefined) throw new Error(`the town was not settled: ${JSON.stringify(failed)}`);
    engine.tidy();
    batch = [];
  }
  registry.exec('COMMIT');
  engine.close();
  registry.close();
}

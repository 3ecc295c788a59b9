/** The demo: a hub, six cooperatives, two stalls, members' cards, and a purchase across cooperatives to follow. */
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { hubPaths } from '../../../hub/config.ts';
import type { Account } from '../../../hub/rules/accounts.ts';
import type { Hub } from '../../../hub/serve.ts';
import type { CardUid, CooperativeId, OutletId } from '../../../protocol/ids.ts';
import { PLATFORM } from '../../../protocol/ids.ts';
import { spellRupiah } from '../../../protocol/money.ts';
import type { Card } from '../card.ts';
import { enrolKiosk, issueCard, makePlace, removePlace, startPlace } from '../town.ts';
import { openStall, type Stall } from './stall.ts';

const say = (text: string) => console.log(text);
const AUDIT = fileURLToPath(new URL('./audit.js', import.meta.url));
const STALLS = [
  { name: 'lapak-12', outlet: 'stall-12' },
  { name: 'kasir-toko', outlet: 'toko-kasir' },
] as const;
/** Members whose cards lie on the table: one of each of four cooperatives. */
const UIDS = ['04175350554c80', '04115350554c80', '04135350554c80', '041b5350554c80'];

interface Table {
  readonly hub: Hub;
  readonly stalls: readonly Stall[];
  readonly cards: readonly { readonly uid: string; readonly card: Card }[];
}

/** Accounts that a sale of this card at this outlet can touch, with words for them. */
function touched(hub: Hub, uid: string, outletId: string): { account: Account; words: string }[] {
  const { registry } = hub;
  const card = registry.card(uid as CardUid);
  const outlet = registry.outlet(outletId as OutletId);
  if (card === undefined || outlet === undefined) throw new Error('the demo names what the town does not have');
  const named = (id: CooperativeId) => registry.cooperative(id)?.name ?? id;
  const income = (cooperative: CooperativeId) => ({
    account: { cooperative, kind: 'fee-income', owner: '-' } as const,
    words: `fee income of ${named(cooperative)}`,
  });
  return [
    {
      account: { cooperative: card.issuer, kind: 'member', owner: card.member },
      words: `${registry.member(card.member)?.name}, member of ${named(card.issuer)}`,
    },
    {
      account: { cooperative: outlet.cooperative, kind: 'payout', owner: outlet.id },
      words: `${outlet.name}, ${named(outlet.cooperative)}`,
    },
    income(card.issuer),
    ...(card.issuer === outlet.cooperative ? [] : [income(outlet.cooperative)]),
    income(PLATFORM),
  ];
}

async function sell({ hub, stalls, cards }: Table, cardNo: number, stallNo: number, amount: bigint): Promise<void> {
  const chosen = cards[cardNo];
  const stall = stalls[stallNo];
  const place = STALLS[stallNo];
  if (chosen === undefined || stall === undefined || place === undefined) return say('No such card or stall.');
  const rows = touched(hub, chosen.uid, place.outlet);
  const accounts = rows.map(({ account }) => account);
  const [payer, payee] = rows;
  say(`\n== ${payer?.words} pays ${spellRupiah(amount)} at ${payee?.words} ==`);
  const before = await hub.ledger.balances(accounts);
  const end = await stall.sell(chosen.card, amount);
  const after = await hub.ledger.balances(accounts);
  say(`\n   ${'account'.padEnd(56)} ${'before'.padStart(14)} ${'after'.padStart(14)} ${'change'.padStart(12)}`);
  rows.forEach(({ words }, at) => {
    const [was, is] = [before[at] ?? 0n, after[at] ?? 0n];
    const figures = [spellRupiah(was).padStart(14), spellRupiah(is).padStart(14), spellRupiah(is - was).padStart(12)];
    say(`   ${words.slice(0, 56).padEnd(56)} ${figures.join(' ')}`);
  });
  const { total, entries } = await hub.ledger.trialBalance();
  say(`   the stall showed: ${end}`);
  say(`   trial balance ${spellRupiah(total)} over ${entries} entries\n`);
}

async function play(table: Table): Promise<void> {
  const { hub, stalls, cards } = table;
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const list = cards.map(({ uid }, at) => {
    const card = hub.registry.card(uid as CardUid);
    const member = card && hub.registry.member(card.member);
    return `  card ${at + 1}: ${member?.name} (${card && hub.registry.cooperative(card.issuer)?.name})`;
  });
  say(list.join('\n'));
  say(stalls.map(({ name }, at) => `  stall ${at + 1}: ${name}`).join('\n'));
  say('Type: CARD STALL AMOUNT, for example 1 1 25000. An empty line ends the demo.');
  lines.prompt();
  // Iterated, not asked one by one: what is typed during a sale is kept for after it.
  for await (const line of lines) {
    if (line.trim() === '') break;
    const asked = /^([1-9]) ([1-9]) ([1-9]\d{0,8})$/.exec(line.trim());
    if (asked === null) say('Three numbers, please: card, stall, amount in rupiah.');
    else await sell(table, Number(asked[1]) - 1, Number(asked[2]) - 1, BigInt(asked[3] ?? '0'));
    lines.prompt();
  }
  lines.close();
}

async function demo(once: boolean): Promise<number> {
  const place = await makePlace();
  const hub = await startPlace(place);
  const stalls: Stall[] = [];
  try {
    say(`A hub on port ${hub.port} of this machine, with ${hub.registry.cooperatives().length - 1} cooperatives.`);
    for (const { name, outlet } of STALLS) {
      const dir = await enrolKiosk(place, hub, name, outlet);
      stalls.push(await openStall(name, dir, (line) => say(`   [${name}] ${line}`)));
    }
    const cards = UIDS.map((uid) => ({ uid, card: issueCard(hub.vault, hub.registry, uid) }));
    const table: Table = { hub, stalls, cards };
    await sell(table, 0, 0, 50_000n);
    if (!once) await play(table);
  } finally {
    await Promise.all(stalls.map((stall) => stall.close()));
    await hub.close();
  }
  try {
    say('The hub is closed. Another process audits its books from the file:');
    process.stdout.write(execFileSync(process.execPath, [AUDIT, hubPaths(place.directory).ledger]));
    return 0;
  } catch {
    return 1;
  } finally {
    removePlace(place);
  }
}

process.exitCode = await demo(process.argv.includes('--once'));

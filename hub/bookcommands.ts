/** `simpul-hub books adjust | provide | write-off | return-purse | collect`: what two officers enter in the books. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CardUid, CooperativeId, MemberId, OutletId } from '../protocol/ids.ts';
import { spellRupiah } from '../protocol/money.ts';
import { refusals } from '../protocol/refusals.ts';
import { amount, type HoldCommandDeps, pathsOf, withLedger } from './holdcommands.ts';
import { officersFault } from './officers.ts';
import { enter, type OfficeWord } from './operations/office.ts';
import { isPrintable, quoted } from './printable.ts';
import { type Account, type AccountKind, accountKinds, accountName, purseOf } from './rules/accounts.ts';
import { isLive } from './rules/lifecycle.ts';
import {
  adjustment,
  collection,
  type OfficeDeed,
  PROVISIONS,
  type Provision,
  provision,
  purseReturn,
  writeOff,
} from './rules/office.ts';
import { entryOf } from './rules/postings.ts';
import type { Ledger } from './store/ledger.ts';
import type { Registry } from './store/registry.ts';
import { openRegistry } from './store/sqlite/registry.ts';

interface Flags {
  readonly data: string;
  readonly id: string;
  readonly officer: readonly string[];
  readonly reason: string;
}

interface OwnFlags extends Flags {
  readonly cooperative: string;
}

interface AdjustFlags extends OwnFlags {
  readonly debit: Named;
  readonly credit: Named;
}

interface ReturnFlags extends Flags {
  readonly atIssuersRisk?: boolean;
}

const REASON_MAX = 500;
const ID_MAX = 64;

type Named = Pick<Account, 'kind' | 'owner'>;

/** An account within one cooperative's books: `kind/owner`, or `kind/-` where it is the cooperative's own. */
function accountNamed(text: string): Named {
  const [, kind, owner = ''] = /^([a-z-]{1,20})\/([a-z0-9/ -]{1,40})$/.exec(text) ?? [];
  if (kind === undefined || !Object.hasOwn(accountKinds, kind)) {
    throw new InvalidArgumentError(`name it KIND/OWNER; kinds are ${Object.keys(accountKinds).join(', ')}`);
  }
  return { kind: kind as AccountKind, owner };
}

function wordFault({ id, officer, reason }: Flags): string | null {
  if (id.trim() === '' || id.length > ID_MAX || !isPrintable(id)) return `an id has 1 to ${ID_MAX} characters`;
  if (reason.trim() === '' || reason.length > REASON_MAX || !isPrintable(reason)) {
    return `a reason has 1 to ${REASON_MAX} characters that can be printed`;
  }
  return officersFault(officer);
}

interface Desk {
  readonly ledger: Ledger;
  readonly registry: Registry;
}

/** Makes the deed from what the hub knows, or says in words why there is none. */
type Make = (desk: Desk) => Promise<OfficeDeed | string> | OfficeDeed | string;

/** Enters a deed in the books of a hub that is stopped, once for its id. */
async function perform(deps: HoldCommandDeps, flags: Flags, make: Make, done: (sum: bigint) => string): Promise<void> {
  const { say, fail, now } = deps;
  const { data, id, officer, reason } = flags;
  const fault = wordFault(flags);
  if (fault !== null) return fail(fault);
  const paths = pathsOf(deps, data);
  if (!paths) return;
  const word: OfficeWord = { id, officers: officer, reason };
  await withLedger(deps, data, async (ledger) => {
    const registry = openRegistry({ path: paths.registry });
    try {
      const deed = await make({ ledger, registry });
      if (typeof deed === 'string') return fail(deed);
      const answer = await enter({ ledger, now }, deed, word);
      if (answer.kind === 'id-taken')
        return fail(`${quoted(id)} names another deed, ${answer.number}; choose another id`);
      if (answer.kind === 'refused') {
        const { en, teller } = refusals[answer.reason];
        return fail(`${en}; nothing was moved. ${teller}`);
      }
      say(`${done(answer.amount)}: entry ${answer.number}${answer.before ? ', entered before' : ''}`);
    } finally {
      registry.close();
    }
  });
}

/** Why an account cannot be meant, in words: one that a slip of the pen would only make now. */
async function strange({ ledger, registry }: Desk, account: Account): Promise<string | null> {
  const { cooperative, owner } = account;
  const ours =
    owner === '-' ||
    registry.member(owner as MemberId)?.cooperative === cooperative ||
    registry.outlet(owner as OutletId)?.cooperative === cooperative ||
    (await ledger.lines(account, null, 1)).length > 0;
  return ours
    ? null
    : `the books have no account ${accountName(account)}; name a member or an outlet of it, or its own`;
}

function noCooperative({ registry }: Desk, id: string): string | null {
  return registry.cooperative(id as CooperativeId) === undefined
    ? `cooperative ${quoted(id)} is not registered; name one that is`
    : null;
}

/** What the postings refuse as never meant, in their words. */
function meant(deed: OfficeDeed): OfficeDeed | string {
  try {
    if (deed.instruction.kind === 'adjustment' || deed.instruction.kind === 'provision') entryOf(deed.instruction);
    return deed;
  } catch (error) {
    if (error instanceof RangeError) return `${error.message}; enter what it follows from instead`;
    throw error;
  }
}

function adjust(deps: HoldCommandDeps, sum: bigint, flags: AdjustFlags): Promise<void> {
  const cooperative = flags.cooperative as CooperativeId;
  const [debit, credit] = [flags.debit, flags.credit].map((named): Account => ({ cooperative, ...named }));
  if (debit === undefined || credit === undefined) throw new Error('an adjustment has two sides');
  const make = async (desk: Desk) => {
    const fault = noCooperative(desk, cooperative) ?? (await strange(desk, debit)) ?? (await strange(desk, credit));
    return fault ?? meant(adjustment({ cooperative, amount: sum }, debit, credit, flags.reason));
  };
  const sides = `from ${accountName(debit)} to ${accountName(credit)}`;
  return perform(deps, flags, make, (moved) => `${spellRupiah(moved)} ${sides}`);
}

function provide(deps: HoldCommandDeps, what: Provision, sum: bigint, flags: OwnFlags & { readonly owner?: string }) {
  const { owner, reason } = flags;
  const cooperative = flags.cooperative as CooperativeId;
  const make = (desk: Desk) => {
    const fault = noCooperative(desk, cooperative);
    if (fault !== null) return fault;
    if ((owner === undefined) !== (what === 'bank')) return 'all but the bank have an owner: --owner';
    if (what === 'drawer' && desk.registry.outlet(owner as OutletId)?.cooperative !== cooperative) {
      return `outlet ${quoted(owner ?? '')} is not of ${cooperative}`;
    }
    if (owner !== undefined && !/^[a-z][a-z0-9-]{0,31}$/.test(owner)) return `${quoted(owner)} is no owner’s name`;
    return meant(provision({ cooperative, amount: sum }, what, owner ?? '-', reason));
  };
  return perform(deps, flags, make, (moved) => `${spellRupiah(moved)} into ${what} ${owner ?? ''} of ${cooperative}`);
}

function forgive(deps: HoldCommandDeps, owner: string, sum: bigint, flags: OwnFlags): Promise<void> {
  const cooperative = flags.cooperative as CooperativeId;
  const make = async (desk: Desk) => {
    const account: Account = { cooperative, kind: 'receivable', owner };
    const fault = noCooperative(desk, cooperative) ?? (await strange(desk, account));
    return fault ?? meant(writeOff({ cooperative, amount: sum }, owner, flags.reason));
  };
  return perform(deps, flags, make, (moved) => `${spellRupiah(moved)} that ${owner} owed is a loss of ${cooperative}`);
}

/**
 * A card that has ended cannot be seen to be empty without it: unless it was emptied, what comes back may be spent from
 * the card all the same, and then its issuer pays twice. When a card ended is not on record, so no term is waited for.
 */
async function purseOfEnded({ ledger, registry }: Desk, number: string, atRisk: boolean): Promise<OfficeDeed | string> {
  const card = registry.cardByNumber(number) ?? registry.card(number as CardUid);
  if (card === undefined) return `card ${quoted(number)} is not registered`;
  const { uid, issuer, member, status } = card;
  if (isLive(status)) return `card ${number} is ${status}: replace or retire it first (simpul-hub cards)`;
  if (registry.drainsOf(uid).length > 0) {
    return `what card ${number} was emptied of is still being checked: lay it on an issuing kiosk again`;
  }
  const [left = 0n] = await ledger.balances([purseOf(issuer, uid)]);
  if (left > 0n && !atRisk) {
    return `card ${number} was not emptied: if it is spent from, ${issuer} pays twice; say --at-issuers-risk to accept`;
  }
  return purseReturn(issuer, member, uid, left);
}

async function returnPurse(deps: HoldCommandDeps, number: string, flags: ReturnFlags): Promise<void> {
  const make = (desk: Desk) => purseOfEnded(desk, number, flags.atIssuersRisk === true);
  const transit = 'a reload on its way to it stays in transit until its own rule ends it';
  await perform(deps, flags, make, (sum) => `${spellRupiah(sum)} of card ${number} is its member’s again; ${transit}`);
}

function collect(deps: HoldCommandDeps, outlet: string, flags: OwnFlags & { readonly owner?: string }): Promise<void> {
  const cooperative = flags.cooperative as CooperativeId;
  const owner = flags.owner ?? outlet;
  const make = async (desk: Desk) => {
    const fault =
      noCooperative(desk, cooperative) ?? (await strange(desk, { cooperative, kind: 'payout', owner: outlet }));
    return fault ?? collection(cooperative, outlet, owner);
  };
  return perform(deps, flags, make, (sum) => `${spellRupiah(sum)} of the takings of ${outlet} paid what ${owner} owed`);
}

/** What every deed needs. */
function deed(books: Command, name: string, description: string): Command {
  return books
    .command(name)
    .description(`${description}; two officers, and the hub must be stopped`)
    .requiredOption('--officer <name...>', 'the two officers, by name')
    .requiredOption('--reason <text>', 'why, in at most 500 characters; kept with the entry')
    .requiredOption('--id <name>', 'your own name for this deed: with the same one it is entered once')
    .option('-d, --data <dir>', 'data directory', './hub-data');
}

/** Adds the officers' commands for their own books. */
export function addBookCommands(root: Command, deps: HoldCommandDeps): void {
  const books = root.command('books').description("what two officers enter in their cooperative's own books");
  const cooperative = ['--cooperative <id>', 'whose books'] as const;
  deed(books, 'adjust', 'correct: move money from one account of the cooperative to another')
    .argument('<rupiah>', 'how much', amount)
    .requiredOption(...cooperative)
    .requiredOption('--debit <account>', 'KIND/OWNER', accountNamed)
    .requiredOption('--credit <account>', 'KIND/OWNER', accountNamed)
    .action((sum: bigint, flags: AdjustFlags) => adjust(deps, sum, flags));
  deed(books, 'provide', 'enter what was paid in to the bank, or lay money at a biller, in a budget, in a drawer')
    .addArgument(books.createArgument('<what>', 'where it goes').choices(PROVISIONS))
    .argument('<rupiah>', 'how much', amount)
    .requiredOption(...cooperative)
    .addOption(new Option('--owner <id>', 'biller, budget or outlet'))
    .action((what: Provision, sum: bigint, flags: OwnFlags & { owner?: string }) => provide(deps, what, sum, flags));
  deed(books, 'write-off', 'make a debt that will not be paid a loss of the cooperative')
    .argument('<owner>', 'outlet or member that owes')
    .argument('<rupiah>', 'how much', amount)
    .requiredOption(...cooperative)
    .action((owner: string, sum: bigint, flags: OwnFlags) => forgive(deps, owner, sum, flags));
  deed(books, 'return-purse', 'give a member back what the purse of a replaced or retired card held')
    .argument('<card>', 'its number or UID')
    .option('--at-issuers-risk', 'the card was not emptied: whatever is still spent from it, its issuer bears')
    .action((number: string, flags: ReturnFlags) => returnPurse(deps, number, flags));
  deed(books, 'collect', 'let takings pay what is owed, as far as both go')
    .argument('<outlet>', 'whose takings')
    .requiredOption(...cooperative)
    .option('--owner <id>', 'who owes (default: the outlet)')
    .action((outlet: string, flags: OwnFlags & { owner?: string }) => collect(deps, outlet, flags));
}

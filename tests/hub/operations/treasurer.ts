/** A treasurer beside a real hub: works at kiosks of the pilot town, and reads who had what before and after. */
import { expect } from 'vitest';
import { type Account, type AccountKind, bankOf, receivableOf } from '../../../hub/rules/accounts.ts';
import { HUB_ORIGIN, OFFICE_ORIGIN } from '../../../hub/store/ledger.ts';
import type { KioskRole } from '../../../protocol/enrolment.ts';
import type { CooperativeId, OutletId } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/receipt.ts';
import { tapRequest } from '../taps.ts';
import { ask, join } from '../wire.ts';
import { openWorld } from '../world.ts';

/** Cards of the pilot town by whom they are. */
export const cards = {
  /** Of pasar, owner of stall-12. */
  siti: '04115350554c80',
  /** Of angkot, drives angkot-07 and angkot-09. */
  bambang: '04135350554c80',
  /** Of angkot, owns angkot-07. */
  joko: '04145350554c80',
  /** Of taksi, owns and drives taksi-03. */
  agus: '04155350554c80',
  rudi: '04165350554c80',
  /** Of toko. */
  dewi: '04175350554c80',
  /** Of the savings cooperative, serves at its counter; he owns angkot-09. */
  hasan: '04195350554c80',
} as const;

export const numbers = { siti: '979200000001', slamet: '979200000002', bambang: '979200000003', dewi: '979200000007' };

/** An account by its name, `cooperative/kind/owner`. */
function accountNamed(name: string): Account {
  const [cooperative = '', kind = '', owner = ''] = name.split('/');
  return { cooperative: cooperative as CooperativeId, kind: kind as AccountKind, owner };
}

export type Answer = Awaited<ReturnType<typeof ask>>;

/** `approved`, the reason of a decision that says no, or the code of a refusal without one. */
export function word({ name, body }: Answer): string {
  if (name === 'refusal') return String(body.code);
  const { receipt, hold } = body as { receipt?: Receipt; hold?: { state: string } };
  return receipt?.reason ?? receipt?.outcome ?? hold?.state ?? 'unknown';
}

export const receiptOf = ({ body }: Answer) => body.receipt as Receipt;

export async function openTreasury() {
  const world = await openWorld();
  const { ledger, registry } = world.hub;
  const counters = new Map<string, number>();
  let works = 0;

  async function books(names: readonly string[]): Promise<readonly number[]> {
    const { total, cooperatives, brokenPairs, brokenAccounts, brokenEntries } = await ledger.trialBalance();
    expect([total, [...cooperatives.values()].filter((sum) => sum !== 0n)]).toEqual([0n, []]);
    expect([brokenPairs, brokenAccounts, brokenEntries]).toEqual([[], [], []]);
    return (await ledger.balances(names.map(accountNamed))).map(Number);
  }

  /** A kiosk with its line to the hub. */
  async function kiosk(name: string, outlet: string, role: KioskRole = 'stall') {
    const enrolled = await world.enrol(name, outlet, role);
    const wire = await join(world, enrolled);
    let said = 0;
    const say = (conversation: string, body: object) => {
      said += 1;
      return ask(wire, name, conversation, { kiosk: enrolled.grant.kiosk, ...body }, said);
    };
    return {
      no: enrolled.grant.kiosk,
      say,
      /** A tap of a card that pays from its account. */
      sell(seq: number, uid: string, amount: number, passengers?: number) {
        const tmc = counters.get(uid) ?? 5;
        counters.set(uid, tmc + 1);
        const tap = tapRequest(world.hub, enrolled, { uid, amount, seq, tmc, at: Date.now() });
        return say('purchase', { ...tap, passengers });
      },
    };
  }

  async function own(origin: number, amount: bigint, verdict: Parameters<typeof ledger.post>[0]['verdict']) {
    works += 1;
    const facts = { amount, card: null, issuer: null, acquirer: null, outlet: null };
    const key = { origin, seq: 1_000 + works };
    const posting = await ledger.post({ key, hash: '', at: Date.now(), verdict, slot: null, facts, evidence: null });
    expect(posting).toMatchObject({ receipt: expect.stringContaining('"approved"') });
  }

  return {
    world,
    registry,
    kiosk,
    books,
    /** Each account as it stood before and stands after, in rupiah. */
    async table(names: readonly string[], work: () => Promise<unknown>) {
      const before = await books(names);
      await work();
      const after = await books(names);
      return names.map((name, at) => [name, before[at], after[at]]);
    },
    /** Cash from the bank into a counter's drawer. */
    fund: (cooperative: string, outlet: string, amount: bigint) =>
      own(HUB_ORIGIN, amount, {
        approve: {
          kind: 'funding',
          figures: { cooperative: cooperative as CooperativeId, outlet: outlet as OutletId, amount },
        },
        guards: [{ kind: 'float', outlet: outlet as OutletId, delta: amount }],
      }),
    /** Two officers write down what takings owe their cooperative. */
    owe(cooperative: string, name: string, amount: bigint) {
      const [debit, credit] = [receivableOf(cooperative as CooperativeId, name), bankOf(cooperative as CooperativeId)];
      const figures = { debit, credit, amount, reason: 'ganti oli' };
      return own(OFFICE_ORIGIN, amount, { approve: { kind: 'adjustment', figures }, guards: [] });
    },
  };
}

/** A card as it leaves the personaliser: keys, files, rights of TRUTH section 14, four records, counter at four. */
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { FACTORY_NAME, FAILURE_LIMIT } from './blank.ts';
import { type Card, createCard } from './card.ts';
import { cardCommands, type Workplace } from './cardcommands.ts';
import { concat, lsb } from './cardcrypto.ts';
import type { CardFile, CardMemory } from './cardfiles.ts';
import { emptyTransaction } from './cardtransaction.ts';

export interface ReadyCard {
  readonly uid: Uint8Array;
  /** This card's own keys, already diversified, 16 bytes each. */
  readonly keys: Readonly<Record<'app' | 'debit' | 'credit' | 'k2' | 'k4' | 'tmac', Uint8Array>>;
  /** Key versions; 1 where none is given. */
  readonly versions?: Partial<Record<'app' | 'debit' | 'credit' | 'k2' | 'k4' | 'tmac', number>>;
  /** Who personalised it: the deeds are signed under this witness key as seq, seq + 1, … of this number. */
  readonly personaliser: { readonly witnessKey: Uint8Array; readonly kioskNo: number; readonly kioskSeq: number };
  /** Purse balance and ceiling, in rupiah. */
  readonly purse?: { readonly value: number; readonly ceiling: number };
  readonly failureLimit?: number;
  readonly random: (length: number) => Uint8Array;
}

const FIRST_RECORDS = 4;
const BEACON = new Uint8Array(4);

/** Access rights once more, from TRUTH section 14 and not from the reader's table: a slip there must show. */
function files({ keys, versions, purse }: ReadyCard): Map<number, CardFile> {
  const statement = () => new Uint8Array(256);
  const zeros = new Uint8Array(16);
  return new Map<number, CardFile>([
    [0x00, { kind: 'standard', access: [0x30, 0x1f], mode: 'mac', content: statement() }],
    [0x04, { kind: 'standard', access: [0x30, 0x1f], mode: 'mac', content: statement() }],
    [0x1f, { kind: 'standard', access: [0x30, 0xef], mode: 'plain', content: new Uint8Array(32) }],
    [0x01, { kind: 'cyclic', access: [0x30, 0x11], mode: 'full', recordSize: 16, slots: 5, records: [] }],
    [
      0x03,
      {
        kind: 'value',
        access: [0x30, 0x1f],
        mode: 'full',
        lower: 0,
        upper: purse?.ceiling ?? 200_000,
        value: purse?.value ?? 0,
      },
    ],
    [
      0x0f,
      {
        kind: 'tmac',
        access: [0x10, 0x1f],
        mode: 'mac',
        key: keys.tmac,
        keyVersion: versions?.tmac ?? 1,
        tmc: 0,
        tmv: new Uint8Array(8),
        tmriPrev: zeros,
      },
    ],
  ]);
}

/** `8B 01 · C8 · C7` (TRUTH section 2, personalise), run by the card's own commands. */
function personalise(memory: CardMemory, record: Uint8Array, tmri: Uint8Array): void {
  const place: Workplace = { memory, transaction: emptyTransaction(), authenticated: true, mode: 'full' };
  const steps: [number, Uint8Array, Uint8Array][] = [
    [0x8b, concat([0x01], lsb(0, 3), lsb(record.length, 3)), record],
    [0xc8, new Uint8Array(), tmri],
    [0xc7, Uint8Array.of(1), new Uint8Array()],
  ];
  for (const [ins, header, data] of steps) {
    const result = cardCommands[ins]?.run(place, header, data);
    if (!(result instanceof Uint8Array)) throw new Error(`personalising failed at ${ins.toString(16)}: ${result}`);
  }
}

/** Makes a card that is `ready`. */
export function readyCard(spec: ReadyCard): Card {
  const { uid, keys, versions, personaliser, failureLimit = FAILURE_LIMIT } = spec;
  const order = ['app', 'debit', 'k2', 'credit', 'k4'] as const;
  const memory: CardMemory = {
    uid,
    dfName: FACTORY_NAME,
    keys: order.map((name) => ({ key: keys[name], version: versions?.[name] ?? 1 })),
    files: files(spec),
    failures: 0,
    failureLimit,
  };
  for (let i = 0; i < FIRST_RECORDS; i++) {
    const { kioskNo, kioskSeq, witnessKey } = personaliser;
    const deed: Deed = { kind: 'personalise', amount: 0n, kioskNo, kioskSeq: kioskSeq + i, minute: 0 };
    const signed = proof(witnessKey, uid, deed, BEACON);
    personalise(memory, buildRecord(deed, signed), buildTmri(deed, signed));
  }
  return createCard(memory, spec.random);
}

/** The fields of a sale request: what holds each of them, and every way to change one bit of it. */
import type { CardCommand } from '../../../protocol/claim.ts';
import { PurchaseRequest } from '../../../protocol/purchase.ts';

export interface Field {
  /** The answers a request may get of which one bit of this field was changed; null where the bit is not covered. */
  readonly answers: readonly string[] | null;
  /**
   * What is still open for the card after the changed request: its genuine pair, its slot under another pair, or its
   * next slot only (the changed request proved the slot to be its own).
   */
  readonly leaves: 'pair' | 'slot' | 'next slot';
}

const invalid = 'declined: certificate-invalid';
/** Under the card's MAC: the changed pair is decided, the card's slot is not filled. */
const certified: Field = { answers: [invalid], leaves: 'slot' };

/** THE table: every field of the request as the schema has it, commands by their instruction. */
export const fields: Readonly<Record<string, Field>> = {
  kiosk: { answers: ['refused: not-yours'], leaves: 'pair' },
  seq: { answers: ['declined: certificate-malformed'], leaves: 'pair' },
  kind: { answers: ['refused: message-malformed'], leaves: 'pair' },
  amount: { answers: ['declined: certificate-malformed'], leaves: 'next slot' },
  // A claim of the kiosk, which no card certifies: it is believed where there is a keypad.
  pinVerified: { answers: null, leaves: 'next slot' },
  'claim.uid': { answers: [invalid, 'declined: card-unknown'], leaves: 'slot' },
  'claim.keyVersion': certified,
  'claim.tmc': certified,
  'claim.tmv': certified,
  'claim.commands.AB.ins': certified,
  'claim.commands.AB.file': certified,
  'claim.commands.AB.from': certified,
  'claim.commands.AB.count': certified,
  'claim.commands.AB.data': certified,
  'claim.commands.6C.ins': certified,
  'claim.commands.6C.file': certified,
  'claim.commands.6C.value': certified,
  'claim.commands.DC.ins': certified,
  'claim.commands.DC.file': certified,
  'claim.commands.DC.value': certified,
  'claim.commands.0C.ins': certified,
  'claim.commands.0C.file': certified,
  'claim.commands.0C.value': certified,
  'claim.commands.8B.ins': certified,
  'claim.commands.8B.file': certified,
  'claim.commands.8B.offset': certified,
  'claim.commands.8B.data': certified,
  'claim.commands.C8.ins': certified,
  'claim.commands.C8.tmri': certified,
  'claim.commands.C8.encTmri': certified,
  'claim.before': { answers: null, leaves: 'next slot' },
};

/**
 * Parts of a request that may be left out, and what of it the hub decides by them beside the certificate: the fare of a
 * group, the price a member was shown, and the book of tariffs it stood in. The tests of fares and tariffs change them.
 */
export const optional: readonly string[] = ['passengers', 'price', 'tariff'];

/** What is read of a schema here; TypeBox writes JSON Schema. */
interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly const?: string;
  readonly maximum?: number;
  readonly pattern?: string;
}

/** Every field of a schema that holds a value, with the path by which the table names it. */
function* walk(schema: Schema, path: readonly string[]): Generator<readonly [string, Schema]> {
  const { properties, items, anyOf } = schema;
  if (properties !== undefined) {
    for (const [name, inner] of Object.entries(properties)) yield* walk(inner, [...path, name]);
  } else if (items !== undefined) yield* walk(items, path);
  else if (anyOf !== undefined) for (const one of anyOf) yield* walk(one, [...path, one.properties?.ins?.const ?? '?']);
  else yield [path.join('.'), schema];
}

/** The request's fields as the protocol declares them now. */
export const declared: ReadonlyMap<string, Schema> = new Map(walk(PurchaseRequest as Schema, []));

/** One bit of one field, to be changed in any request that has it. */
export interface Change {
  readonly what: string;
  readonly of: (request: PurchaseRequest) => PurchaseRequest;
  /** True when the word is then none of the protocol's: a message that cannot be read. */
  readonly unreadable: boolean;
}

type Branch = Record<string, unknown>;
type Flip = (value: unknown) => string | number | boolean;

/** A copy of the request, and in it what holds the field. */
function open(request: PurchaseRequest, path: string): { copy: PurchaseRequest; branch: Branch; name: string } {
  const copy = structuredClone(request);
  const steps = path.split('.');
  const name = steps.pop() ?? '';
  let branch = copy as unknown as Branch;
  for (const step of steps) {
    const inner = Array.isArray(branch) ? branch.find(({ ins }) => ins === step) : branch[step];
    if (inner === undefined) throw new Error(`the request has no ${path}`);
    branch = inner as Branch;
  }
  return { copy, branch, name };
}

const bitsOf = (count: number, flip: (bit: number) => Flip) => Array.from({ length: count }, (_, bit) => flip(bit));
const put = (text: string, at: number, to: string) => `${text.slice(0, at)}${to}${text.slice(at + 1)}`;

const flipInNumber =
  (bit: number): Flip =>
  (value) =>
    Number(BigInt(value as number) ^ (1n << BigInt(bit)));

const flipInHex =
  (bit: number): Flip =>
  (value) => {
    const digit = Number.parseInt(String(value)[bit >> 2] ?? '', 16);
    return put(String(value), bit >> 2, (digit ^ (1 << (bit & 3))).toString(16));
  };

const flipInWord =
  (bit: number): Flip =>
  (value) =>
    put(String(value), bit >> 3, String.fromCharCode(String(value).charCodeAt(bit >> 3) ^ (1 << (bit & 7))));

/** One flip for each bit that a field has: as many as its numbers may need, its hex digits hold, its word has. */
function flips(value: unknown, { const: word, type, maximum, pattern }: Schema): readonly Flip[] {
  if (type === 'boolean') return [(held) => held !== true];
  if (word !== undefined) return bitsOf(word.length * 8, flipInWord);
  if (typeof value === 'string' && pattern?.includes('[0-9a-f]')) return bitsOf(value.length * 4, flipInHex);
  const bits = Math.log2((maximum ?? 0) + 1);
  if (typeof value !== 'number' || !Number.isInteger(bits) || bits === 0) throw new Error(`which bits has ${value}?`);
  return bitsOf(bits, flipInNumber);
}

/** A command of each instruction, for what the exchanged one lacks. */
const blank: readonly CardCommand[] = [
  { ins: 'AB', file: 1, from: 0, count: 4, data: '00'.repeat(64) },
  { ins: '6C', file: 3, value: 0 },
  { ins: 'DC', file: 3, value: 0 },
  { ins: '0C', file: 3, value: 0 },
  { ins: '8B', file: 1, offset: 0, data: '00'.repeat(16) },
  { ins: 'C8', tmri: '00'.repeat(16), encTmri: '00'.repeat(16) },
];

/** A command under another instruction, its parts kept where they fit. */
function exchange(command: CardCommand, other: CardCommand): CardCommand {
  const kept = Object.entries(command).filter(([name]) => name !== 'ins' && name in other);
  return { ...other, ...Object.fromEntries(kept) } as CardCommand;
}

/** Every way to change one bit of a field; an instruction is exchanged for each other one too. */
export function changes(example: PurchaseRequest, path: string): readonly Change[] {
  const schema = declared.get(path);
  if (schema === undefined) throw new Error(`the protocol has no ${path}`);
  const { branch, name } = open(example, path);
  const bits = flips(branch[name], schema).map(
    (flip, bit): Change => ({
      what: `${path} bit ${bit}`,
      of(request) {
        const { copy, branch: own } = open(request, path);
        own[name] = flip(own[name]);
        return copy;
      },
      unreadable: schema.const !== undefined,
    }),
  );
  if (name !== 'ins') return bits;
  const others = blank.filter(({ ins }) => ins !== branch.ins);
  const exchanged = others.map(
    (other): Change => ({
      what: `${path} exchanged for ${other.ins}`,
      of(request) {
        const { claim } = request;
        const swap = (command: CardCommand) => (command.ins === branch.ins ? exchange(command, other) : command);
        return { ...request, claim: { ...claim, commands: claim.commands.map(swap) } };
      },
      unreadable: false,
    }),
  );
  return [...bits, ...exchanged];
}

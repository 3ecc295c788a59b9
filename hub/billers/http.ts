/** A biller over HTTPS: one JSON question, one JSON answer, bounded in time and size; what cannot be read is unsure. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { SaleAmount, toWire } from '../../protocol/money.ts';
import type { Edges } from '../edges.ts';
import { printable } from '../printable.ts';
import type { Asked, Biller, BillOrder, Inquired, Paying } from './port.ts';

export interface HttpBiller {
  /** `https:`, or `http:` on this machine; the three questions are asked below it. */
  readonly url: string;
  /** Milliseconds until an answer is given up. */
  readonly timeoutMs: number;
  /** What the biller knows this hub by, sent as a bearer token; null: it asks for none. */
  readonly token: string | null;
}

/** Most that is read of an answer. */
const ANSWER_MAX = 16 * 1024;

const Reference = Type.String({ maxLength: 64 });
const Words = Type.String({ maxLength: 200 });
/** Answers name their question, so that one that was mixed up on the way pays nothing. */
const Owed = Type.Union([
  Type.Object({
    reference: Reference,
    status: Type.Literal('owed'),
    holder: Type.String({ maxLength: 64 }),
    amount: SaleAmount,
  }),
  Type.Object({ reference: Reference, status: Type.Literal('none'), text: Words }),
]);
const Became = Type.Union([
  Type.Object({
    reference: Reference,
    status: Type.Literal('paid'),
    amount: SaleAmount,
    serial: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
    text: Words,
  }),
  Type.Object({ reference: Reference, status: Type.Literal('refused'), text: Words }),
  Type.Object({ reference: Reference, status: Type.Literal('pending') }),
  Type.Object({ reference: Reference, status: Type.Literal('unknown') }),
]);
const owed = Compile(Owed);
const became = Compile(Became);

/** Reads a body that may be of any length. @throws Error if it is longer than an answer may be. */
async function bounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let read = 0;
  for await (const chunk of response.body ?? []) {
    read += chunk.length;
    if (read > ANSWER_MAX) throw new Error(`the answer is longer than ${ANSWER_MAX} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

type Heard<Body> = { readonly body: Body } | { readonly unsure: string };

interface Check<Body> {
  Check(value: unknown): value is Body;
}

/** The parser's own words repeat what they cannot read, which may be what the biller knows this hub by. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Puts one question; never rejects. */
async function put<Body extends { readonly reference: string }>(
  { later }: Pick<Edges, 'later'>,
  { url, timeoutMs, token }: HttpBiller,
  path: string,
  question: { readonly reference: string },
  check: Check<Body>,
): Promise<Heard<Body>> {
  const aborter = new AbortController();
  const callOff = later(() => aborter.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    const response = await fetch(`${url.replace(/\/$/, '')}/${path}`, {
      method: 'POST',
      redirect: 'error',
      signal: aborter.signal,
      headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(question),
    });
    const text = await bounded(response);
    if (response.status !== 200) return { unsure: `status ${response.status}` };
    const body = parsed(text);
    if (body === undefined) return { unsure: 'the answer is no JSON' };
    if (!check.Check(body)) return { unsure: 'the answer does not fit' };
    return body.reference === question.reference ? { body } : { unsure: 'the answer is to another reference' };
  } catch (error) {
    // Whatever went wrong, the question may have arrived.
    return { unsure: (error as Error).message.slice(0, 200) };
  } finally {
    callOff();
  }
}

function asked(heard: Heard<Static<typeof Became>>, amount: bigint): Asked {
  if ('unsure' in heard) return { kind: 'unsure', why: heard.unsure };
  const { body } = heard;
  if (body.status === 'pending') return { kind: 'unsure', why: 'the biller is not done' };
  if (body.status === 'unknown') return { kind: 'unknown' };
  if (body.status === 'refused') return { kind: 'refused', text: printable(body.text) };
  if (BigInt(body.amount) !== amount) {
    return { kind: 'unsure', why: `the biller says it paid ${body.amount}, not ${amount}` };
  }
  const serial = body.serial === null ? null : printable(body.serial);
  return { kind: 'paid', serial, text: printable(body.text) };
}

/** Speaks with one biller. */
export function httpBiller(edges: Pick<Edges, 'later'>, settings: HttpBiller): Biller {
  return {
    async inquire({ reference, product, customer }, amount): Promise<Inquired> {
      const question = { reference, product, customer, amount: amount === null ? null : toWire(amount) };
      const heard = await put(edges, settings, 'inquire', question, owed as Check<Static<typeof Owed>>);
      if ('unsure' in heard) return { kind: 'unsure', why: heard.unsure };
      const { body } = heard;
      if (body.status === 'none') return { kind: 'none', text: printable(body.text) };
      return { kind: 'owed', holder: printable(body.holder), amount: BigInt(body.amount) };
    },
    async pay({ reference, product, customer, amount }: BillOrder): Promise<Paying> {
      const question = { reference, product, customer, amount: toWire(amount) };
      const said = asked(await put(edges, settings, 'pay', question, became as Check<Static<typeof Became>>), amount);
      return said.kind === 'unknown' ? { kind: 'unsure', why: 'the biller does not know what it was told' } : said;
    },
    async ask({ reference, amount }) {
      return asked(await put(edges, settings, 'ask', { reference }, became as Check<Static<typeof Became>>), amount);
    },
  };
}

/** An aggregator of bills: a real HTTP server whose books lie on a file, and which can be told to behave badly. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What becomes of the next questions: `well`; `refuse` pays nothing, finally; `pending` takes the order and does not
 * say; `fail` does nothing and answers 500; `deaf` does nothing and hangs up; `lose` pays and hangs up; `hang` does
 * nothing and waits; `hang-paid` pays and waits: until `wake`, or for ever.
 */
export type Mood = 'well' | 'refuse' | 'pending' | 'fail' | 'deaf' | 'lose' | 'hang' | 'hang-paid';

export interface Order {
  readonly product: string;
  readonly customer: string;
  readonly amount: number;
  status: 'paid' | 'refused' | 'pending';
}

interface Asked {
  readonly path: string;
  readonly reference: string;
}

export interface TestBiller {
  readonly url: string;
  mood: Mood;
  /** Every question as it came in. */
  readonly heard: readonly Asked[];
  /** Orders by reference, as they lie on the file. */
  orders(): Readonly<Record<string, Order>>;
  /** What it took of the deposit for all that it paid: each bill and its own fee. */
  charged(): number;
  /** Ends an order that is pending. */
  end(reference: string, status: 'paid' | 'refused'): void;
  /** Forgets an order, as if it had never come. */
  forget(reference: string): void;
  /** Resolves at the first question to this path after so many that were heard. */
  until(path: string, after?: number): Promise<Asked>;
  /** Answers those that hang. */
  wake(): void;
  close(): Promise<void>;
}

/** What is owed by customer number; who is not here owes nothing. */
const OWED: Readonly<Record<string, { readonly holder: string; readonly amount: number }>> = {
  '530012345678': { holder: 'SITI AMINAH', amount: 100_000 },
  '530099999999': { holder: 'BUDI SANTOSO', amount: 75_500 },
};
/** Of each bill, out of the deposit. */
export const AGGREGATOR_FEE = 1_200;

const serialOf = (reference: string) => `TOKEN-${reference}`;

function answerOf(reference: string, order: Order | undefined): object {
  if (order === undefined) return { reference, status: 'unknown' };
  if (order.status === 'pending') return { reference, status: 'pending' };
  if (order.status === 'refused') return { reference, status: 'refused', text: 'Tagihan sudah lunas' };
  return { reference, status: 'paid', amount: order.amount, serial: serialOf(reference), text: 'Lunas' };
}

function write(path: string, orders: Readonly<Record<string, Order>>): void {
  const file = openSync(`${path}.new`, 'w');
  writeSync(file, JSON.stringify(orders));
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}

type Question = Asked & Omit<Order, 'status'>;

async function read(request: IncomingMessage): Promise<Question> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

/** Opens a biller on its file, on this port or a free one. */
export async function openBiller(path: string, port = 0): Promise<TestBiller> {
  const orders: Record<string, Order> = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  const heard: Asked[] = [];
  const ears = new Set<() => void>();
  const hanging = new Set<() => void>();
  const say = (response: ServerResponse, body: object, status = 200) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

  function pay(reference: string, order: Omit<Order, 'status'>, status: Order['status']): void {
    // Once and for all: whoever asks again gets what was decided.
    if (orders[reference] !== undefined) return;
    orders[reference] = { ...order, status };
    write(path, orders);
  }

  function paying(response: ServerResponse, reference: string, order: Omit<Order, 'status'>): void {
    const { mood } = biller;
    const late = () => {
      pay(reference, order, 'paid');
      say(response, answerOf(reference, orders[reference]));
    };
    const due = OWED[order.customer]?.amount === order.amount;
    if (mood === 'deaf') response.destroy();
    else if (mood === 'fail') say(response, { fault: 'try later' }, 500);
    else if (mood === 'hang') hanging.add(late);
    else {
      pay(reference, order, mood === 'pending' ? mood : mood === 'refuse' || !due ? 'refused' : 'paid');
      if (mood === 'hang-paid') hanging.add(late);
      else if (mood === 'lose') response.destroy();
      else say(response, answerOf(reference, orders[reference]));
    }
  }

  const server = createServer((request, response) => {
    void read(request).then((body) => {
      const { reference, product, customer, amount } = body;
      const asked = { path: request.url?.split('/').at(-1) ?? '', reference };
      heard.push(asked);
      if (asked.path === 'pay') paying(response, reference, { product, customer, amount });
      else if (asked.path === 'ask') answerAsk(response, reference);
      else answerInquire(response, reference, customer);
      for (const ear of [...ears]) ear();
    });
  });

  function answerAsk(response: ServerResponse, reference: string): void {
    if (biller.mood === 'fail') say(response, { fault: 'try later' }, 500);
    else if (biller.mood === 'deaf' || biller.mood.startsWith('hang')) response.destroy();
    else say(response, answerOf(reference, orders[reference]));
  }

  function answerInquire(response: ServerResponse, reference: string, customer: string): void {
    const owed = OWED[customer];
    if (biller.mood !== 'well') response.destroy();
    else if (owed === undefined) say(response, { reference, status: 'none', text: 'Nomor tidak dikenal' });
    else say(response, { reference, status: 'owed', ...owed });
  }

  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const biller: TestBiller = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    mood: 'well',
    heard,
    orders: () => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}),
    charged: () =>
      Object.values(biller.orders())
        .filter(({ status }) => status === 'paid')
        .reduce((sum, { amount }) => sum + amount + AGGREGATOR_FEE, 0),
    end(reference, status) {
      const order = orders[reference];
      if (order?.status !== 'pending') throw new Error(`${reference} is not pending`);
      order.status = status;
      write(path, orders);
    },
    forget(reference) {
      delete orders[reference];
      write(path, orders);
    },
    until: (wanted, after = 0) =>
      new Promise((resolve) => {
        const look = () => {
          const found = heard.slice(after).find((asked) => asked.path === wanted);
          if (found === undefined) return;
          ears.delete(look);
          resolve(found);
        };
        ears.add(look);
        look();
      }),
    wake() {
      for (const answer of hanging) answer();
      hanging.clear();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return biller;
}

/** The biller's entry in `hub.json` for the pilot's village cooperative, priced as in TRUTH section 11. */
export const billerSettings = (url: string, cooperative = 'kud') => ({
  id: 'ppob',
  url,
  cooperative,
  timeoutSeconds: 15,
  products: [
    { id: 'pln', name: 'Listrik', admin: { aggregator: AGGREGATOR_FEE, acquirer: 900, issuer: 600, platform: 300 } },
  ],
});

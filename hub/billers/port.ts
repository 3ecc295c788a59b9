/** Billers, as the hub speaks with them: what is owed, pay it once, what became of it. */

/** A bill at a biller. */
export interface BillOrder {
  /** The kiosk's number and its seq, `no-seq`: the biller pays at most once under it, however often it is told. */
  readonly reference: string;
  readonly product: string;
  /** The customer's number at the biller. */
  readonly customer: string;
  /** The biller's own part, in rupiah. */
  readonly amount: bigint;
}

/** What is owed. `unsure`: no answer, or none that can be read. */
export type Inquired =
  | { readonly kind: 'owed'; readonly holder: string; readonly amount: bigint }
  | { readonly kind: 'none'; readonly text: string }
  | { readonly kind: 'unsure'; readonly why: string };

/**
 * What became of a reference. `paid` and `refused` are final: a reference that was refused is never paid later.
 * `unsure` says nothing at all, as a timeout does (DESIGN section 2, promise 3).
 */
export type Paying =
  | { readonly kind: 'paid'; readonly serial: string | null; readonly text: string }
  | { readonly kind: 'refused'; readonly text: string }
  | { readonly kind: 'unsure'; readonly why: string };

/** `unknown`: the biller has never heard of the reference. A `pay` may still be on its way there. */
export type Asked = Paying | { readonly kind: 'unknown' };

/** One biller; nothing here ever throws or rejects: what fails is `unsure`. */
export interface Biller {
  /** Changes nothing. @param amount what the customer chose, or null. */
  inquire(order: Omit<BillOrder, 'amount'>, amount: bigint | null): Promise<Inquired>;
  pay(order: BillOrder): Promise<Paying>;
  /** What became of the order that this reference names; pays nothing. */
  ask(order: BillOrder): Promise<Asked>;
}

/** Verify a claim without the hub: what a card's certificate proves to whoever holds its issuer's master. */
import { timingSafeEqual } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { parseRecord, parseTmri, type RecordKind } from '../cards/record.ts';
import { tmv, transactionInput, transactionKeys } from '../cards/tmac.ts';
import { Claim, readAccount } from '../protocol/claim.ts';
import type { CardUid } from '../protocol/ids.ts';
import { spellRupiah } from '../protocol/money.ts';
import { PurchaseRequest } from '../protocol/purchase.ts';
import { readBounded } from './files.ts';
import { type IssuerMasters, openMasters } from './vaultmasters.ts';

/** Bytes of the longest claim file, or file of masters, that is read. */
const FILE_MOST = 65_536;

const claimCheck = Compile(Claim);
const requestCheck = Compile(PurchaseRequest);

/** Not checked here: said with every result, so that nobody takes the result for more than it is. */
const NOT_CHECKED = [
  "the proof by the kiosk's witness key: only that kiosk and the hub hold the key",
  'the beacon, which dates the tap: only the hub can rebuild it',
  'who made the certificate: whoever holds the same master, hub or cooperative, can make one as well as the card',
] as const;

/** A kiosk's number and its request's number, as the card took them. */
interface Named {
  readonly kiosk: number;
  readonly seq: number;
}

/** What the list of an account sale says under the certificate; amounts in rupiah. */
interface Figures {
  /** null: the record's kind is none of ours, and nothing else of it can be read. */
  readonly record: (Named & { readonly kind: RecordKind; readonly amount: number }) | null;
  /** The reader id (TMRI); null: its numbers are too large to be a kiosk's. */
  readonly reader: Named | null;
  /** Whether record and reader id name the same kiosk and request. */
  readonly agree: boolean;
  /** Purse balance before. */
  readonly balanceBefore: number;
}

interface About {
  /** Cooperative whose master was used. */
  readonly issuer: string;
  readonly uid: string;
  readonly keyVersion: number;
  readonly counter: number;
}

export type ClaimFinding = About &
  (
    | { readonly valid: false; readonly why: 'no-master' | 'certificate' }
    | {
        readonly valid: true;
        /** The instructions under the certificate, in order. */
        readonly list: string;
        /** Whether they and the record's kind are those of an account sale. */
        readonly accountSale: boolean;
        /** null where the list is not that of an account sale. */
        readonly figures: Figures | null;
        /** Whether the request around the claim names the record's kiosk, seq and amount; null without one. */
        readonly requestAgrees: boolean | null;
      }
  );

const bytes = (hex: string) => Buffer.from(hex, 'hex');

function readFigures(claim: Claim): Figures | null {
  const parts = readAccount(claim.commands);
  if (parts === null) return null;
  const record = parseRecord(bytes(parts.record));
  const tmri = parseTmri(bytes(parts.tmri));
  return {
    record: record && {
      kind: record.kind,
      amount: Number(record.amount),
      kiosk: record.kioskNo,
      seq: record.kioskSeq,
    },
    reader: tmri && { kiosk: tmri.kioskNo, seq: tmri.kioskSeq },
    agree: record !== null && record.kioskNo === tmri?.kioskNo && record.kioskSeq === tmri.kioskSeq,
    balanceBefore: parts.opening,
  };
}

function names(request: Omit<PurchaseRequest, 'claim'>, record: NonNullable<Figures['record']>): boolean {
  const { kiosk, seq, amount } = request;
  return kiosk === record.kiosk && seq === record.seq && amount === record.amount;
}

/**
 * Verifies a claim with its issuer's masters only (TRUTH section 12): the certificate, and what the list under it says.
 * @param request that the claim came in, if it is known; it is not under the certificate.
 */
export function judgeClaim(
  masters: IssuerMasters,
  claim: Claim,
  request: Omit<PurchaseRequest, 'claim'> | null,
): ClaimFinding {
  const { uid, keyVersion, tmc: counter } = claim;
  const about: About = { issuer: masters.issuer, uid, keyVersion, counter };
  const key = masters.tmacKey(uid as CardUid, keyVersion);
  if (key === null) return { valid: false, ...about, why: 'no-master' };
  const keys = transactionKeys(key, bytes(uid), counter);
  if (!timingSafeEqual(tmv(keys, transactionInput(claim.commands)), bytes(claim.tmv))) {
    return { valid: false, ...about, why: 'certificate' };
  }
  const figures = readFigures(claim);
  const record = figures?.record ?? null;
  return {
    valid: true,
    ...about,
    list: claim.commands.map(({ ins }) => ins).join(' '),
    accountSale: record?.kind === 'account',
    figures,
    requestAgrees: request && record && names(request, record),
  };
}

export interface ClaimFiles {
  /** File with a claim, or with a whole purchase request. */
  readonly claim: string;
  /** File that `simpul-hub keys hand-over` made. */
  readonly master: string;
  readonly passphrase: Uint8Array;
}

export type VerifyResult =
  | { readonly ok: true; readonly finding: ClaimFinding }
  | { readonly ok: false; readonly error: string };

/** Reads both files and verifies; needs no hub, vault or network. The error is one line that says what to do. */
export function verifyClaimFile({ claim, master, passphrase }: ClaimFiles): VerifyResult {
  const given = readFile(claim, 'claim file');
  if (!given.ok) return given;
  let value: unknown;
  try {
    value = JSON.parse(given.text);
  } catch {
    return { ok: false, error: `claim file ${claim} is not JSON; get it anew from where it was kept` };
  }
  const request = requestCheck.Check(value) ? value : null;
  const found = request?.claim ?? value;
  if (!claimCheck.Check(found)) {
    return { ok: false, error: `claim file ${claim} holds neither a claim nor a purchase request; get it anew` };
  }
  const sealed = readFile(master, 'master file');
  if (!sealed.ok) return sealed;
  const opened = openMasters(sealed.text, passphrase);
  if (opened.ok) return { ok: true, finding: judgeClaim(opened.masters, found, request) };
  return {
    ok: false,
    error:
      opened.why === 'wrong-secret'
        ? `master file ${master} does not open with this passphrase, or was changed; give the one it was sealed with`
        : `master file ${master} is damaged or holds no masters; ask the hub for keys hand-over again`,
  };
}

function readFile(path: string, name: string): { ok: true; text: string } | { ok: false; error: string } {
  try {
    const text = readBounded(path, FILE_MOST);
    if (text !== null) return { ok: true, text };
    return {
      ok: false,
      error: `${name} ${path} is longer than ${FILE_MOST} bytes, more than any holds; check its name`,
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { ok: false, error: `${name} ${path} cannot be read (${code}); check its name` };
  }
}

const spellNamed = (named: Named | null) => (named ? `kiosk ${named.kiosk}, request ${named.seq}` : 'unreadable');

function spellFigures(figures: Figures, accountSale: boolean, requestAgrees: boolean | null): string[] {
  const { record, reader, agree, balanceBefore } = figures;
  const kind = record ? `of kind ${record.kind}` : 'of no known kind';
  return [
    `list      ${accountSale ? 'account sale' : `genuine, but no account sale: its record is ${kind}`}`,
    `amount    ${record ? spellRupiah(BigInt(record.amount)) : 'unreadable'}`,
    `record    ${spellNamed(record)}`,
    `reader    ${spellNamed(reader)}: ${agree ? 'agrees with the record' : 'DOES NOT AGREE with the record'}`,
    `before    ${spellRupiah(BigInt(balanceBefore))} in the purse`,
    ...(requestAgrees === null
      ? []
      : [`request   ${requestAgrees ? 'names' : 'DOES NOT NAME'} the record's kiosk, request and amount`]),
  ];
}

/** What was found in plain words, with what was not checked. */
export function spellFinding(finding: ClaimFinding): string {
  const { issuer, uid, keyVersion, counter } = finding;
  const card = [`card      ${uid}`, `counter   ${counter}, key version ${keyVersion}`];
  if (!finding.valid) {
    const why =
      finding.why === 'no-master'
        ? `the file holds no master of ${issuer} for key version ${keyVersion}`
        : `the certificate does not fit: the claim was changed, or the card is not one of ${issuer}`;
    return `NOT VALID: ${why}\n${card.map((line) => `  ${line}\n`).join('')}`;
  }
  const { figures, accountSale, list, requestAgrees } = finding;
  const said = figures
    ? spellFigures(figures, accountSale, requestAgrees)
    : [`list      genuine, but no account sale: ${list}`];
  const lines = [...card, ...said].map((line) => `  ${line}\n`).join('');
  const unchecked = NOT_CHECKED.map((line) => `  ${line}\n`).join('');
  const head = `VALID: a card of ${issuer}, or another holder of its master, certified this\n`;
  return `${head}${lines}Not proven here:\n${unchecked}`;
}

/** The same as one JSON object. */
export function findingAsJson(finding: ClaimFinding): string {
  return `${JSON.stringify({ ...finding, notChecked: NOT_CHECKED }, null, 2)}\n`;
}

/** A cooperative verifies claims of its own cards without the hub: genuine ones hold, any change does not. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { account, coveredCommands, purchaseFromPurse } from '../../cards/payment.ts';
import { buildRecord, buildTmri, type Deed, proof } from '../../cards/record.ts';
import { play } from '../../cards/script.ts';
import { createVault, openVault, type Vault } from '../../hub/vault.ts';
import { type IssuerMasters, openMasters } from '../../hub/vaultmasters.ts';
import { findingAsJson, judgeClaim, spellFinding, verifyClaimFile } from '../../hub/verifyclaim.ts';
import type { Claim } from '../../protocol/claim.ts';
import type { CardUid, CooperativeId } from '../../protocol/ids.ts';
import { field } from '../town/field.ts';
import { readyCard } from '../town/ready.ts';
import { repository } from '../town/repository.ts';
import { temporary, VAULT_COST } from './world.ts';

const BIN = join(repository(), 'hub/bin/simpul-hub.js');
const PASAR = 'pasar' as CooperativeId;
const KUD = 'kud' as CooperativeId;
const UID = '04115350554c80' as CardUid;
const uid = Buffer.from(UID, 'hex');
const passphrase = Buffer.from('kopi tubruk');
const witness = randomBytes(32);
const versions = { keyVersion: 1, tmacKeyVersion: 3 };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

let vault: Vault;
let pasar: IssuerMasters;
let kud: IssuerMasters;
let files: Record<'pasar' | 'kud', string>;

beforeAll(async () => {
  const path = join(temporary(afterAll), 'vault.json');
  await createVault({ random: randomBytes }, path, passphrase, [PASAR, KUD], VAULT_COST);
  const opened = openVault({ random: randomBytes }, path, passphrase);
  if (!opened.ok) throw new Error(opened.error);
  vault = opened.vault;
  files = { pasar: handedOver(PASAR), kud: handedOver(KUD) };
  [pasar, kud] = [mastersIn(files.pasar), mastersIn(files.kud)];
});

function handedOver(issuer: CooperativeId): string {
  const file = vault.handOver(issuer, passphrase, VAULT_COST);
  if (file === null) throw new Error(`no masters of ${issuer}`);
  return file;
}

function mastersIn(file: string): IssuerMasters {
  const opened = openMasters(file, passphrase);
  if (!opened.ok) throw new Error(opened.why);
  return opened.masters;
}

interface Sale {
  readonly from: 'account' | 'purse';
  readonly kind: Deed['kind'];
  /** What the kiosk names in the reader id; the record's own seq where none is given. */
  readonly readerSeq?: number;
}

/** A sale of Rp 25,000 as the emulated card of pasar certifies it for kiosk 9, request 7. */
async function mint({ from, kind, readerSeq = 7 }: Sale): Promise<Claim> {
  const keys = vault.cardKeys(PASAR, UID, versions);
  if (keys === null) throw new Error('no keys');
  const card = readyCard({
    uid,
    keys: { ...keys, k2: randomBytes(16), k4: randomBytes(16) },
    versions: { tmac: versions.tmacKeyVersion },
    personaliser: { witnessKey: witness, kioskNo: 1, kioskSeq: 1 },
    purse: { value: 75_000, ceiling: 200_000 },
    random: randomBytes,
  });
  const deed: Deed = { kind, amount: 25_000n, kioskNo: 9, kioskSeq: 7, minute: 100 };
  const signed = proof(witness, uid, deed, randomBytes(4));
  const marks = { record: buildRecord(deed, signed), tmri: buildTmri({ ...deed, kioskSeq: readerSeq }, signed) };
  const order = { ...marks, key1: keys.debit, rndA: randomBytes(16), journal: () => {} };
  const reader = field(card);
  reader.insert();
  const script = from === 'account' ? account(order) : purchaseFromPurse({ ...order, amount: deed.amount });
  const done = await play(script, reader.transmit);
  if (!done.ok) throw new Error(JSON.stringify(done));
  return {
    uid: UID,
    keyVersion: versions.tmacKeyVersion,
    tmc: done.tmc,
    tmv: hex(done.tmv),
    commands: coveredCommands(marks, done, from === 'account' ? 0n : deed.amount),
    before: hex(done.before),
  };
}

const sale = () => mint({ from: 'account', kind: 'account' });

/** Every text that differs from this hex in one bit. */
function* oneBitOff(text: string): Generator<string> {
  const bytes = Buffer.from(text, 'hex');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield changed.toString('hex');
  }
}

/** The claim with the bytes that its list writes or commits replaced. */
function withData(claim: Claim, ins: '8B' | 'C8', data: string): Claim {
  const commands = claim.commands.map((command) => {
    if (command.ins !== ins) return command;
    return command.ins === '8B' ? { ...command, data } : { ...command, tmri: data };
  });
  return { ...claim, commands } as Claim;
}

const dataOf = (claim: Claim, ins: '8B' | 'C8') => {
  const found = claim.commands.find((command) => command.ins === ins);
  return found?.ins === '8B' ? found.data : found?.ins === 'C8' ? found.tmri : '';
};

test('a card of the cooperative proves an account sale: amount, kiosk, request, counter and balance', async () => {
  const finding = judgeClaim(pasar, await sale(), null);
  expect(finding).toEqual({
    valid: true,
    issuer: 'pasar',
    uid: UID,
    keyVersion: 3,
    counter: 5,
    list: 'AB 6C 8B C8',
    accountSale: true,
    figures: {
      record: { kind: 'account', amount: 25_000, kiosk: 9, seq: 7 },
      reader: { kiosk: 9, seq: 7 },
      agree: true,
      balanceBefore: 75_000,
    },
    requestAgrees: null,
  });
  const words = spellFinding(finding);
  for (const said of ['VALID: a card of pasar, or another holder', UID, 'Rp 25.000', 'kiosk 9, request 7: agrees']) {
    expect(words).toContain(said);
  }
  for (const said of ["the kiosk's witness key", 'the beacon', 'whoever holds the same master']) {
    expect(words).toContain(said);
    expect(findingAsJson(finding)).toContain(said);
  }
});

test('the request around a claim is compared with the record, for it is not under the certificate', async () => {
  const claim = await sale();
  const request = { kiosk: 9, seq: 7, kind: 'account' as const, amount: 25_000 };
  expect(judgeClaim(pasar, claim, request)).toMatchObject({ valid: true, requestAgrees: true });
  for (const change of [{ kiosk: 8 }, { seq: 8 }, { amount: 52_000 }]) {
    const finding = judgeClaim(pasar, claim, { ...request, ...change });
    expect(finding).toMatchObject({ valid: true, requestAgrees: false });
    expect(spellFinding(finding)).toContain("DOES NOT NAME the record's kiosk, request and amount");
  }
});

test('any bit of certificate, record or reader id changed: not valid', async () => {
  const claim = await sale();
  const changed = [
    ...[...oneBitOff(claim.tmv)].map((tmv) => ({ ...claim, tmv })),
    ...[...oneBitOff(dataOf(claim, '8B'))].map((data) => withData(claim, '8B', data)),
    ...[...oneBitOff(dataOf(claim, 'C8'))].map((data) => withData(claim, 'C8', data)),
  ];
  expect(changed).toHaveLength(64 + 128 + 128);
  const held = changed.filter((one) => judgeClaim(pasar, one, null).valid);
  expect(held).toEqual([]);
  expect(judgeClaim(pasar, claim, null).valid).toBe(true);
});

test('another amount, counter, card, key version or balance: not valid', async () => {
  const claim = await sale();
  const dearer = Buffer.from(dataOf(claim, '8B'), 'hex');
  dearer.writeUInt32BE(dearer.readUInt32BE(0) + 1, 0);
  const richer = claim.commands.map((command) => (command.ins === '6C' ? { ...command, value: 75_001 } : command));
  const changed = [
    withData(claim, '8B', dearer.toString('hex')),
    { ...claim, tmc: claim.tmc + 1 },
    { ...claim, uid: '04125350554c80' },
    { ...claim, keyVersion: 4 },
    { ...claim, commands: richer },
    { ...claim, commands: claim.commands.slice(0, 3) },
  ];
  for (const one of changed) {
    const finding = judgeClaim(pasar, one, null);
    expect(finding).toMatchObject({ valid: false, why: 'certificate' });
    expect(spellFinding(finding)).toContain('NOT VALID: the certificate does not fit');
  }
});

test("another cooperative's master does not verify it, nor one that serves later versions only", async () => {
  const claim = await sale();
  const foreign = judgeClaim(kud, claim, null);
  expect(foreign).toMatchObject({ valid: false, issuer: 'kud', why: 'certificate' });
  expect(spellFinding(foreign)).toContain('or the card is not one of kud');
  const late = { issuer: 'pasar', tmacKey: () => null };
  expect(judgeClaim(late, claim, null)).toMatchObject({ valid: false, why: 'no-master' });
});

test('a genuine certificate over another list, or of another kind, is called genuine and no account sale', async () => {
  const purse = judgeClaim(pasar, await mint({ from: 'purse', kind: 'purse' }), null);
  expect(purse).toMatchObject({ valid: true, accountSale: false, list: 'AB 6C DC 8B C8', figures: null });
  expect(spellFinding(purse)).toContain('genuine, but no account sale: AB 6C DC 8B C8');
  const heal = judgeClaim(pasar, await mint({ from: 'account', kind: 'heal' }), null);
  expect(heal).toMatchObject({ valid: true, accountSale: false, figures: { record: { kind: 'heal' } } });
  expect(spellFinding(heal)).toContain('genuine, but no account sale: its record is of kind heal');
});

test('a record and a reader id that name different requests are told apart', async () => {
  const finding = judgeClaim(pasar, await mint({ from: 'account', kind: 'account', readerSeq: 8 }), null);
  expect(finding).toMatchObject({ valid: true, figures: { record: { seq: 7 }, reader: { seq: 8 }, agree: false } });
  expect(spellFinding(finding)).toContain('kiosk 9, request 8: DOES NOT AGREE with the record');
});

test('files missing, too long, no JSON, no claim, damaged or sealed otherwise have an error each', async () => {
  const folder = temporary();
  const claim = await sale();
  const at = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const good = { claim: at('claim', JSON.stringify(claim)), master: at('master', files.pasar), passphrase };
  const errorOf = (change: Partial<typeof good>) => {
    const result = verifyClaimFile({ ...good, ...change });
    return result.ok ? `valid: ${result.finding.valid}` : result.error;
  };
  expect(errorOf({})).toBe('valid: true');
  const filled = JSON.stringify(claim).padEnd(65_536);
  expect(errorOf({ claim: at('longest', filled) })).toBe('valid: true');
  expect(errorOf({ claim: at('longer', `${filled} `) })).toContain('is longer than 65536 bytes');
  expect(errorOf({ claim: join(folder, 'nowhere') })).toContain('nowhere cannot be read (ENOENT)');
  expect(errorOf({ claim: folder })).toContain('cannot be read (EISDIR)');
  expect(errorOf({ claim: at('cut', filled.slice(0, 300)) })).toContain('is not JSON');
  // What is no request as a whole is never half read as one.
  expect(errorOf({ claim: at('both', JSON.stringify({ ...claim, claim: 'mine' })) })).toBe('valid: true');
  const malformed = [
    null,
    [],
    { claim },
    { ...claim, tmv: claim.tmv.toUpperCase().padEnd(18, '0') },
    { ...claim, tmc: 0 },
    { ...claim, commands: [] },
    { ...claim, commands: Array.from({ length: 9 }, () => claim.commands[1]) },
  ];
  for (const value of malformed) {
    expect(errorOf({ claim: at('malformed', JSON.stringify(value)) })).toContain(
      'neither a claim nor a purchase request',
    );
  }
  expect(errorOf({ passphrase: Buffer.from('kopi susu') })).toContain('does not open with this passphrase');
  expect(errorOf({ master: at('cut master', files.pasar.slice(0, 100)) })).toContain('damaged or holds no masters');
  const changed = files.pasar.replace(/"sealed": "(.)/, (_, one) => `"sealed": "${one === 'A' ? 'B' : 'A'}`);
  expect(errorOf({ master: at('changed master', changed) })).toContain(
    'does not open with this passphrase, or was changed',
  );
  expect(errorOf({ master: at('long master', files.pasar.padEnd(65_537)) })).toContain('master file');
  expect(errorOf({ master: good.claim })).toContain('damaged or holds no masters');
});

test('the shipped command answers in words, JSON and exit codes: 0 valid, 1 not or unreadable, 2 misused', async () => {
  const folder = temporary();
  const claim = await sale();
  const [request, bad, master] = ['request', 'bad', 'master'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(request, JSON.stringify({ kiosk: 9, seq: 7, kind: 'account', amount: 25_000, claim }));
  writeFileSync(bad, JSON.stringify({ ...claim, tmc: claim.tmc + 1 }));
  writeFileSync(master, files.pasar);
  const simpul = (env: Record<string, string>, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, 'verify-claim', ...args], {
      encoding: 'utf8',
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
    });
    return { code: status, out: stdout, err: stderr };
  };
  const env = { SIMPUL_MASTER_PASSPHRASE: passphrase.toString() };
  const good = simpul(env, request, '--master', master);
  expect(good).toMatchObject({ code: 0, err: '' });
  expect(good.out).toContain("names the record's kiosk, request and amount");
  const refused = simpul(env, bad, '--master', master, '--json');
  expect(refused).toMatchObject({ code: 1, err: '' });
  expect(JSON.parse(refused.out)).toMatchObject({ valid: false, why: 'certificate', uid: UID, counter: 6 });
  const unreadable = simpul(env, master, '--master', master, '--json');
  expect(unreadable.code).toBe(1);
  expect(JSON.parse(unreadable.out)).toMatchObject({ valid: null, error: expect.stringContaining('neither a claim') });
  expect(simpul({}, request, '--master', master)).toEqual({
    code: 2,
    out: '',
    err: 'simpul-hub: the masters need their own passphrase: set SIMPUL_MASTER_PASSPHRASE\n',
  });
  const inside = [good, refused, unreadable].map(({ out, err }) => out + err).join('');
  expect(inside).not.toContain(hex(pasar.tmacKey(UID, 3) ?? randomBytes(16)));
  expect(readFileSync(master, 'utf8')).toBe(files.pasar);
});

/** The hub's command line: `simpul-hub init | serve | sign | keys | cards | holds | limits | licence | report …`. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { KIOSK_ROLES, type KioskRole } from '../protocol/enrolment.ts';
import { askMode } from './askmode.ts';
import { addBillCommands } from './billcommands.ts';
import { addBookCommands } from './bookcommands.ts';
import { addCardCommands } from './cardcommands.ts';
import { collectAlone } from './collector.ts';
import { hubPaths, readConfig } from './config.ts';
import { addDisputeCommands } from './disputecommands.ts';
import { examine, freeBytes, spellFindings } from './doctor.ts';
import { makeLog, realEdges } from './edges.ts';
import { writeAtomic } from './files.ts';
import { addHoldCommands } from './holdcommands.ts';
import { addIncentiveCommands } from './incentivecommands.ts';
import { initHub, writeHubCard } from './init.ts';
import { addIssueCommands } from './issuecommands.ts';
import { afterRotation, handOver, initKeys, masterPassphrase, rotateKeys, spellGrown, spellKeys } from './keys.ts';
import { addLicenceCommands } from './licencecommands.ts';
import { addLimitCommands } from './limitcommands.ts';
import { addReportCommands } from './reportcommands.ts';
import { HUB_MODES, type HubMode } from './rules/licence.ts';
import { readSecret } from './secret.ts';
import { DEMO_NOTICE, SOFTWARE, startHub } from './serve.ts';
import { signRequest } from './sign.ts';
import { openRegistry } from './store/sqlite/registry.ts';
import { addTariffCommands } from './tariffcommands.ts';
import { openVault } from './vault.ts';
import { ROTATED } from './vaultgrowth.ts';
import { findingAsJson, spellFinding, verifyClaimFile } from './verifyclaim.ts';

/** Exit codes: 0 done, 1 the command failed or found a fault, 2 it was called wrongly. */
const FAILED = 1;
const MISUSED = 2;

const say = (text: string) => process.stdout.write(`${text}\n`);

function fail(error: string): void {
  process.stderr.write(`simpul-hub: ${error}\n`);
  process.exitCode = FAILED;
}

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) throw new InvalidArgumentError('a port is 0 to 65535');
  return value;
}

interface InitFlags {
  readonly data: string;
  readonly town?: string;
  readonly mode?: HubMode;
  readonly host?: string;
  readonly port?: number;
  readonly name?: readonly string[];
  readonly passphrase?: boolean;
}

/** The passphrase that a flag asks for; null after saying that it is not set. */
function passphraseFor({ passphrase: asked }: { readonly passphrase?: boolean }): string | undefined | null {
  const passphrase = asked ? process.env.SIMPUL_PASSPHRASE : undefined;
  if (!asked || passphrase) return passphrase;
  fail('--passphrase takes it from SIMPUL_PASSPHRASE, which is not set; set it');
  return null;
}

async function init(flags: InitFlags): Promise<void> {
  const passphrase = passphraseFor(flags);
  if (passphrase === null) return;
  const { data: directory, town, host, port, name: names } = flags;
  const asked = await askMode(flags, { input: process.stdin, output: process.stdout });
  if (!asked.ok) return fail(asked.error);
  const { mode } = asked;
  const result = await initHub(realEdges(makeLog('warn')), { directory, town, mode, host, port, names, passphrase });
  if (!result.ok) return fail(result.error);
  const { cooperatives, members, cards, outlets } = result.town;
  say(`Made a ${result.mode} hub for ${result.town.name} in ${directory}:`);
  const counted = Object.entries({ cooperatives, members, cards, outlets });
  say(`  ${counted.map(([name, rows]) => `${rows.length} ${name}`).join(', ')}`);
  if (!result.vaultMade) say(`  with the vault that was there, ${result.paths.vault}`);
  say(
    `  give ${result.paths.hubCard} to technicians; keep ${passphrase ? 'the passphrase' : result.paths.vaultKey} safe`,
  );
  if (result.mode === 'licensed') {
    say(`  what the licences allow: simpul-hub licence show --data ${directory}; two officers change it: licence set`);
  }
  say(`Next: simpul-hub serve --data ${directory}`);
}

/** Settings and the vault's secret of a directory, or null after saying what is wrong. */
function prepare(directory: string) {
  const paths = hubPaths(directory);
  const read = readConfig(paths);
  if (!read.ok) return fail(read.error);
  const secret = readSecret(paths, read.config, process.env);
  if (!secret.ok) return fail(secret.error);
  return { paths, config: read.config, secret: secret.secret };
}

/** The same with its vault open, or null after saying what is wrong. */
function prepareVault(directory: string) {
  const ready = prepare(directory);
  if (!ready) return null;
  const edges = realEdges(makeLog('warn'));
  const opened = openVault(edges, ready.paths.vault, ready.secret);
  if (!opened.ok) return fail(opened.error);
  return { paths: ready.paths, edges, vault: opened.vault };
}

async function serve({ data: directory }: { readonly data: string }): Promise<void> {
  const ready = prepare(directory);
  if (!ready) return;
  const { config, secret, paths } = ready;
  collectAlone();
  const log = makeLog(config.log);
  const edges = realEdges(log);
  const onFatal = (fault: Error) => {
    log.fatal({ err: fault }, 'the ledger failed; the hub ends, so that its supervisor starts it again');
    process.exit(FAILED);
  };
  const started = await startHub({ ...edges, onFatal }, { directory, config, secret });
  if (!started.ok) return fail(started.error);
  const { hub } = started;
  const ca = readFileSync(paths.ca, 'utf8');
  writeHubCard(paths, hub.vault, ca, config.names[0] ?? 'localhost', hub.port);
  const { port, metricsPort, benchTcpPort } = hub;
  if (hub.registry.mode() === 'demo') process.stderr.write(`\n*** ${DEMO_NOTICE} ***\n\n`);
  // One line that scripts can wait for.
  say(JSON.stringify({ ready: true, host: config.host, port, metricsPort, benchTcpPort }));
  log.info({ host: config.host, port, directory, software: SOFTWARE }, 'the hub serves');
  const stop = () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    hub.close().then(
      () => log.info('the hub has closed'),
      (error: unknown) => fail(`the hub did not close cleanly: ${(error as Error).message}; see the log`),
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

interface SignFlags {
  readonly data: string;
  readonly outlet: string;
  readonly role?: KioskRole;
  readonly offline?: boolean;
  readonly out?: string;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

async function sign(request: string, { data: directory, outlet, role, offline, out }: SignFlags): Promise<void> {
  const text = readText(request);
  if (text === null) return fail(`the request ${request} cannot be read; check its name`);
  const ready = prepareVault(directory);
  if (!ready) return;
  const { paths, edges, vault } = ready;
  const registry = openRegistry({ path: paths.registry });
  try {
    const ca = readFileSync(paths.ca, 'utf8');
    const signed = await signRequest({ ...edges, vault, registry, ca }, text, outlet, { role, offline });
    if (!signed.ok) return fail(signed.error);
    const grant = `${JSON.stringify(signed.grant, null, 2)}\n`;
    if (out === undefined) return void process.stdout.write(grant);
    writeAtomic(out, grant, 0o644);
    say(`Enrolled ${signed.grant.name} as kiosk ${signed.grant.kiosk} at ${outlet}: give ${out} to the kiosk`);
  } finally {
    registry.close();
  }
}

function listKeys({ data, json }: { readonly data: string; readonly json?: boolean }): void {
  const ready = prepareVault(data);
  if (!ready) return;
  const keys = ready.vault.descriptions();
  process.stdout.write(json ? `${JSON.stringify(keys, null, 2)}\n` : spellKeys(keys));
}

interface KeysInitFlags {
  readonly data: string;
  readonly town?: string;
  readonly passphrase?: boolean;
}

async function makeKeys(flags: KeysInitFlags): Promise<void> {
  const passphrase = passphraseFor(flags);
  if (passphrase === null) return;
  const { data: directory, town } = flags;
  const edges = realEdges(makeLog('warn'));
  const grown = await initKeys(edges, { directory, town, passphrase, environment: process.env });
  if (!grown.ok) return fail(grown.error);
  process.stdout.write(spellGrown(hubPaths(directory), grown));
}

interface RotateFlags {
  readonly data: string;
  readonly purpose: string;
  readonly issuer?: string;
}

async function rotate({ data: directory, purpose, issuer }: RotateFlags): Promise<void> {
  const ready = prepare(directory);
  if (!ready) return;
  const { secret } = ready;
  const rotated = await rotateKeys(realEdges(makeLog('warn')), { directory, secret, purpose, issuer });
  if (!rotated.ok) return fail(rotated.error);
  process.stdout.write(spellKeys([rotated.master]) + afterRotation(rotated.master));
}

/** The passphrase over handed-over masters, or null after saying that it is missing. */
function readMasterPassphrase(): Uint8Array | null {
  const passphrase = masterPassphrase(process.env);
  if (passphrase !== null) return passphrase;
  fail('the masters need their own passphrase: set SIMPUL_MASTER_PASSPHRASE');
  process.exitCode = MISUSED;
  return null;
}

interface HandOverFlags {
  readonly data: string;
  readonly issuer: string;
  readonly out: string;
}

function handOverKeys({ data, issuer, out }: HandOverFlags): void {
  const passphrase = readMasterPassphrase();
  if (passphrase === null) return;
  const ready = prepareVault(data);
  if (!ready) return;
  const handed = handOver(ready.vault, { issuer, out, passphrase });
  if (!handed.ok) {
    fail(handed.error);
    return;
  }
  process.stdout.write(spellKeys(handed.masters));
  say(`Give ${out} to ${issuer}, and its passphrase by another way: who has both can verify its cards' certificates,`);
  say('and could forge them against it');
}

interface VerifyFlags {
  readonly master: string;
  readonly json?: boolean;
}

function verifyClaim(claim: string, { master, json }: VerifyFlags): void {
  const passphrase = readMasterPassphrase();
  if (passphrase === null) return;
  const result = verifyClaimFile({ claim, master, passphrase });
  if (!result.ok) {
    fail(result.error);
    if (json) say(JSON.stringify({ valid: null, error: result.error }));
    return;
  }
  process.stdout.write(json ? findingAsJson(result.finding) : spellFinding(result.finding));
  if (!result.finding.valid) process.exitCode = FAILED;
}

async function doctor({ data, json }: { readonly data: string; readonly json?: boolean }): Promise<void> {
  const edges = realEdges(makeLog('silent'));
  const findings = await examine({ ...edges, environment: process.env, freeBytes }, data);
  process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : spellFindings(findings));
  if (findings.some(({ state }) => state === 'fail')) process.exitCode = FAILED;
}

const data = ['-d, --data <dir>', 'data directory', './hub-data'] as const;

function addKeyCommands(root: Command): void {
  const keys = root.command('keys').description("the vault's keys, as far as people may know them");
  keys
    .command('init')
    .description('make the vault alone, or add to one of an older make what it lacks; no key that is there changes')
    .option(...data)
    .option('--town <file>', 'town file whose cooperatives get masters (default: the registered town, or the pilot)')
    .option('--passphrase', 'the vault is sealed with the passphrase in SIMPUL_PASSPHRASE instead of a key file')
    .action(makeKeys);
  keys
    .command('rotate')
    .description('add a new master for the cards to come; the old one stays for the old cards; the hub must be stopped')
    .addOption(new Option('--purpose <purpose>', 'what the master is for').choices(ROTATED).makeOptionMandatory())
    .option('--issuer <cooperative>', 'cooperative whose masters they are, with tmac and credit')
    .option(...data)
    .action(rotate);
  keys
    .command('list')
    .description('list masters, secrets and key pairs with their check values; never a key')
    .option(...data)
    .option('--json', 'the list as JSON')
    .action(listKeys);
  keys
    .command('hand-over')
    .description("seal a cooperative's own tmac masters for it, under the passphrase in SIMPUL_MASTER_PASSPHRASE")
    .requiredOption('--issuer <cooperative>', 'cooperative whose masters they are')
    .requiredOption('--out <file>', 'file to make')
    .option(...data)
    .action(handOverKeys);
  root
    .command('verify-claim')
    .description(
      "say what a card's certificate proves, from its issuer's masters alone; not the kiosk's proof or the beacon, " +
        'which only kiosk and hub can check, nor that no other holder of the master made it; exit code 1 if not valid',
    )
    .argument('<claim>', 'JSON file: a claim, or a purchase request')
    .requiredOption('--master <file>', 'file from keys hand-over; SIMPUL_MASTER_PASSPHRASE opens it')
    .option('--json', 'the finding as one JSON object')
    .action(verifyClaim);
}

function program(): Command {
  const root = new Command('simpul-hub')
    .description('The hub of a town: it authorises, records and settles')
    .version(SOFTWARE)
    .exitOverride();
  root
    .command('init')
    .description('make a data directory: settings, vault, certificates, books, and the registered town')
    .option(...data)
    .option('--town <file>', 'town file: cooperatives, members, cards, outlets, tariffs (default: the pilot)')
    .addOption(
      new Option('--mode <mode>', 'a demonstration without real money, or a hub of licensed cooperatives').choices(
        HUB_MODES,
      ),
    )
    .option('--host <address>', 'address to bind (default: 127.0.0.1)')
    .option('--port <port>', 'port of MQTT over TLS (default: 8883)', port)
    .option('--name <name...>', 'names and addresses that kiosks call the hub by; the first is put on the hub card')
    .option('--passphrase', 'seal the vault with the passphrase in SIMPUL_PASSPHRASE instead of a key file')
    .action(init);
  root
    .command('serve')
    .description('run the hub until SIGINT or SIGTERM')
    .option(...data)
    .action(serve);
  root
    .command('sign')
    .description("answer a kiosk's enrolment request with a certificate, a number and its outlet")
    .argument('<request>', 'request file made by simpul-kiosk')
    .requiredOption('--outlet <id>', 'outlet where the kiosk stands')
    .addOption(
      new Option('--role <role>', "what it is for: to sell, make members' cards, cash, or bills").choices(KIOSK_ROLES),
    )
    .option('--offline', 'it may hold the debit masters and read cards without the hub: only where a signal is missing')
    .option('--out <file>', 'write the grant there instead of to standard output')
    .option(...data)
    .action(sign);
  addKeyCommands(root);
  addCardCommands(root, { open: (directory) => prepareVault(directory) ?? null, say, fail });
  root
    .command('doctor')
    .description('look at everything the hub needs; exit code 1 if something is broken')
    .option(...data)
    .option('--json', 'findings as JSON')
    .action(doctor);
  addIssueCommands(root, { say, fail });
  addBillCommands(root, { say, fail, now: Date.now });
  addHoldCommands(root, { say, fail, now: Date.now });
  addTariffCommands(root, { say, fail, now: Date.now });
  addLicenceCommands(root, { say, fail, now: Date.now });
  addReportCommands(root, { say, fail, now: Date.now });
  addLimitCommands(root, { say, fail, now: Date.now });
  addDisputeCommands(root, { say, fail, now: Date.now });
  addBookCommands(root, { say, fail, now: Date.now });
  addIncentiveCommands(root, { say, fail, now: Date.now });
  return root;
}

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : MISUSED;
  else fail(`${(error as Error).message}; simpul-hub doctor may say more`);
}

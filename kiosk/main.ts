/** The kiosk's command line. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command, CommanderError } from 'commander';
import { Compile } from 'typebox/compile';
import { type KioskName, KioskNameSchema } from '../protocol/ids.ts';
import { ConfigFault, readConfig } from './config.ts';
import { type CheckName, checkNames, diagnose, doctorDeps, sound, spell, usualChecks } from './doctor.ts';
import { writePrivate } from './files.ts';
import { KeyFault, loadIdentity, requestEnrolment } from './keys.ts';
import { openLog } from './log.ts';
import { OutboxFault } from './outbox.ts';
import { joinHub, needOutbox, SOFTWARE, startKiosk } from './start.ts';

/** Exit codes: 0 done, 1 the command failed or found a fault, 2 it was called wrongly. */
const FAILED = 1;
const MISUSED = 2;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const DIR = ['--dir <dir>', "the kiosk's directory", '.'] as const;
const isName = Compile(KioskNameSchema);

const program = new Command('simpul-kiosk').description('A Simpul kiosk').version(SOFTWARE).exitOverride();
const enrol = program.command('enrol').description('join a hub');

enrol
  .command('request')
  .description("make this kiosk's keys and a request for the hub operator to sign")
  .requiredOption('--hub-card <file>', "the hub's card")
  .requiredOption('--name <name>', 'name of this kiosk: lower-case letters, digits, dashes; at most 23')
  .option('--out <file>', 'where to write the request; without it, to standard output')
  .option(...DIR)
  .action(async ({ hubCard, name, out, dir }: { hubCard: string; name: string; out?: string; dir: string }) => {
    if (!isName.Check(name))
      throw new KeyFault(`${name} is no kiosk name: lower-case letters, digits and dashes, at most 23`);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const request = await requestEnrolment({ randomBytes }, dir, name as KioskName, readFileSync(hubCard, 'utf8'));
    const text = `${JSON.stringify(request, null, 2)}\n`;
    if (out === undefined) return void process.stdout.write(text);
    writePrivate(out, text);
    say(`Request written to ${out}. Next: let the hub operator sign it, then run \`simpul-kiosk enrol accept GRANT\`.`);
  });

enrol
  .command('accept')
  .description('take the grant that the hub operator gave')
  .argument('<grant>', 'file of the grant')
  .option(...DIR)
  .action((file: string, { dir }: { dir: string }) => {
    const grant = joinHub(dir, readFileSync(file, 'utf8'));
    say(
      `This is kiosk ${grant.kiosk} (${grant.name}) at ${grant.outlet.name}.` +
        ' Next: `simpul-kiosk doctor`, then `simpul-kiosk run`.',
    );
  });

program
  .command('run')
  .description('sell, or make cards: what the hub enrolled this kiosk for')
  .option(...DIR)
  .action(({ dir }: { dir: string }) => {
    const config = readConfig(dir);
    const identity = loadIdentity(dir);
    needOutbox(dir);
    const { stdin: input, stdout: output } = process;
    // The screen has the terminal to itself; the log goes beside it.
    const log = openLog(output.isTTY ? join(dir, 'kiosk.log') : process.stderr.fd, config.log);
    const end = (code: number): void => {
      void stop().finally(() => process.exit(code));
    };
    const stop = startKiosk({
      dir,
      config,
      identity,
      terminal: {
        input,
        output,
        colour: output.isTTY && process.env.NO_COLOR === undefined,
        interrupted: () => end(0),
      },
      log: log.info,
      failed: (error) => {
        log.fatal('the till has stopped', error);
        end(FAILED);
      },
    });
    process.once('SIGTERM', () => end(0));
    process.once('SIGINT', () => end(0));
  });

program
  .command('doctor')
  .description('look at everything a kiosk needs; exit code 1 if something is broken')
  .addArgument(
    new Argument(
      '[checks...]',
      'only these; `beacon` takes over the connection of a running kiosk, `card` waits for one',
    )
      .choices(checkNames)
      .default(usualChecks, 'all but beacon and card'),
  )
  .option('--json', 'one JSON object')
  .option(...DIR)
  .action(async (wanted: CheckName[], { dir, json }: { dir: string; json?: boolean }) => {
    const findings = await diagnose(doctorDeps(dir), wanted);
    say(json === true ? JSON.stringify({ ok: sound(findings), checks: findings }) : spell(findings));
    if (!sound(findings)) process.exitCode = FAILED;
  });

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : MISUSED);
  const expected = error instanceof ConfigFault || error instanceof KeyFault || error instanceof OutboxFault;
  const system = (error as NodeJS.ErrnoException).code !== undefined;
  if (!expected && !system) throw error;
  const next = expected ? '' : ': check that it is there and that this user may read and write it';
  process.stderr.write(`simpul-kiosk: ${(error as Error).message}${next}\n`);
  process.exitCode = FAILED;
}

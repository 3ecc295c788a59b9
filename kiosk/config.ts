/** The kiosk's settings: one file, `kiosk.json`, in the kiosk's directory; every wrong key is reported. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { readIfThere, writePrivate } from './files.ts';

const closed = { additionalProperties: false } as const;

const Settings = Type.Object(
  {
    hub: Type.Object(
      {
        host: Type.String({ minLength: 1, maxLength: 253 }),
        port: Type.Integer({ minimum: 1, maximum: 65_535 }),
        /** Name that the hub's certificate must carry. */
        serverName: Type.String({ minLength: 1, maxLength: 253 }),
      },
      closed,
    ),
    /** Program that drives the reader, with its arguments; without it, the one for PC/SC readers. */
    reader: Type.Optional(
      Type.Object({ command: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 32 }) }, closed),
    ),
    /** Language that comes first on the screen. */
    language: Type.Optional(Type.Union([Type.Literal('id'), Type.Literal('en')])),
    log: Type.Optional(
      Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
    ),
  },
  closed,
);
const check = Compile(Settings);
export type HubSettings = Static<typeof Settings>['hub'];

export interface Config {
  readonly hub: HubSettings;
  readonly reader: readonly [string, ...string[]];
  /** True when the reader is reached through pcscd. */
  readonly pcsc: boolean;
  readonly language: 'id' | 'en';
  readonly log: 'debug' | 'info' | 'warn' | 'error';
}

/** The settings cannot be used; `message` names every wrong key. */
export class ConfigFault extends Error {
  override readonly name = 'ConfigFault';
}

/** Where the settings of a kiosk are. */
export const configPath = (dir: string): string => join(dir, 'kiosk.json');

/** Reads the settings. @throws ConfigFault with every wrong key, or when there is no such file. */
export function readConfig(dir: string): Config {
  const path = configPath(dir);
  const text = readIfThere(path);
  if (text === null) throw new ConfigFault(`${path} is missing: run \`simpul-kiosk enrol accept GRANT\``);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigFault(`${path} is not JSON (${(error as Error).message}): correct it`);
  }
  if (!check.Check(value)) {
    const wrong = check
      .Errors(value)
      .map((error) => `${error.instancePath || '/'} ${error.message}${extra(error.params)}`);
    throw new ConfigFault(`${path}: ${wrong.join('; ')}: correct these keys`);
  }
  const settings = value as Static<typeof Settings>;
  const command = settings.reader?.command;
  const [program, ...args] = command ?? [process.execPath, fileURLToPath(new URL('./pcsc.js', import.meta.url))];
  if (program === undefined) throw new ConfigFault(`${path}: /reader/command is empty`);
  const { hub, language = 'id', log = 'info' } = settings;
  return { hub, reader: [program, ...args], pcsc: command === undefined, language, log };
}

/** Names of unknown keys, which the message alone does not say. */
function extra(params: object): string {
  const names = 'additionalProperties' in params ? params.additionalProperties : null;
  return Array.isArray(names) ? ` (${names.join(', ')})` : '';
}

/** Writes first settings for a hub; settings that exist already stay as they are. */
export function startConfig(dir: string, hub: HubSettings): void {
  const path = configPath(dir);
  if (readIfThere(path) !== null) return;
  const { host, port, serverName } = hub;
  writePrivate(path, `${JSON.stringify({ hub: { host, port, serverName }, language: 'id' }, null, 2)}\n`);
}

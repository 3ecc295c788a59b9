/** The hub's settings: one file, `hub.json` in the data directory, every wrong key reported at once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { BillerSettings } from './billers/settings.ts';

const Port = Type.Integer({ minimum: 0, maximum: 65_535 });

export const HubConfig = Type.Object(
  {
    v: Type.Literal(1),
    /** Address that the MQTT listener binds; kiosks on other machines need one they can reach. */
    host: Type.String({ minLength: 1, maxLength: 253 }),
    /** Port of MQTT over TLS; 0 lets the system choose. */
    port: Port,
    /**
     * Names and addresses kiosks may call the hub by, beside localhost and 127.0.0.1; the first is the one they
     * are told.
     */
    names: Type.Array(Type.String({ pattern: '^[A-Za-z0-9.:-]{1,253}$' }), { maxItems: 16 }),
    /**
     * File that opens the vault; without it the environment variable SIMPUL_PASSPHRASE does. Relative to the
     * directory.
     */
    vaultKeyFile: Type.Optional(Type.String({ minLength: 1 })),
    /** Port of the metrics page, loopback only. */
    metricsPort: Type.Optional(Port),
    /** Port of a listener WITHOUT TLS for measurements, loopback only; a hub that holds real money must not set it. */
    benchTcpPort: Type.Optional(Port),
    /** Who is asked for bills; without any, none are sold. */
    billers: Type.Optional(Type.Array(BillerSettings, { maxItems: 16 })),
    /** Days in which a disputed payment must be decided; 14 where it is left out. */
    disputeDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 365 })),
    log: Type.Enum(['debug', 'info', 'warn', 'error', 'silent']),
  },
  { additionalProperties: false },
);
export type HubConfig = Static<typeof HubConfig>;
const check = Compile(HubConfig);

export const DEFAULT_CONFIG: HubConfig = { v: 1, host: '127.0.0.1', port: 8883, names: [], log: 'info' };

export type ReadConfig =
  | { readonly ok: true; readonly config: HubConfig }
  | { readonly ok: false; readonly error: string };

/** Checks settings; the error names every key that is wrong and why. */
export function parseConfig(text: string, from: string): ReadConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, error: `${from} is not JSON: ${(error as Error).message}; correct it or copy a good one back` };
  }
  if (check.Check(value)) return { ok: true, config: value };
  const wrong = new Map<string, string>();
  for (const { instancePath, message, params } of check.Errors(value)) {
    const extra = params as { additionalProperties?: readonly string[] };
    const keys = extra.additionalProperties?.map((key) => `/${key}`) ?? [instancePath || '/'];
    for (const key of keys) if (!wrong.has(key)) wrong.set(key, message);
  }
  const list = [...wrong].map(([key, message]) => `${key} ${message}`).join('; ');
  return { ok: false, error: `${from} has wrong keys: ${list}; correct them and start again` };
}

/** Where everything of a hub lies in its data directory. */
export function hubPaths(directory: string) {
  const at = (name: string) => join(directory, name);
  return {
    directory,
    config: at('hub.json'),
    vault: at('vault.json'),
    vaultKey: at('vault.key'),
    ca: at('ca.pem'),
    certificate: at('hub.pem'),
    ledger: at('ledger.db'),
    registry: at('registry.db'),
    lock: at('running.lock'),
    hubCard: at('hub-card.json'),
  };
}
export type HubPaths = ReturnType<typeof hubPaths>;

/** Reads the settings of a data directory. */
export function readConfig(paths: HubPaths): ReadConfig {
  try {
    return parseConfig(readFileSync(paths.config, 'utf8'), paths.config);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      ok: false,
      error: `${paths.config} cannot be read (${code}); run simpul-hub init, or name the directory with --data`,
    };
  }
}

/** The highest key versions that cards were given: what a new master must come after. */
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { TMAC_KEY_NO } from '../../../cards/diversify.ts';
import { RETIRED_VERSION } from '../../../cards/keyring.ts';

export interface GivenVersions {
  /** Of the keys 0 to 4 on any chip that has not ended; 0 without one. */
  readonly keyVersion: number;
  /** Of the counter file's key, by issuer of the card. */
  readonly tmacKeyVersions: ReadonlyMap<string, number>;
}

// A journaled change counts like one that was made: the card may have it, and has shown neither key yet.
// What cards get at their end is no master's version.
const KEYS = `SELECT max(version) FROM (
  SELECT key_version AS version FROM card UNION ALL SELECT key_version FROM chip
  UNION ALL SELECT to_version FROM key_change WHERE key_no <> :counter) WHERE version <> :retired`;
const COUNTER_KEYS = `SELECT issuer, max(version) AS version FROM (
  SELECT issuer, tmac_key_version AS version FROM card
  UNION ALL SELECT issuer, to_version FROM key_change JOIN card USING (uid) WHERE key_no = :counter) GROUP BY issuer`;

/**
 * Looks them up in a registry file; all 0 if there is none.
 * @throws Error if the file cannot be read or is no registry.
 */
export function givenVersions(path: string): GivenVersions {
  if (!existsSync(path)) return { keyVersion: 0, tmacKeyVersions: new Map() };
  const db = new Database(path, { readonly: true });
  try {
    const counter = { counter: TMAC_KEY_NO };
    const keyVersion = db
      .prepare(KEYS)
      .pluck()
      .get({ ...counter, retired: RETIRED_VERSION }) as number | null;
    const rows = db.prepare(COUNTER_KEYS).all(counter) as { issuer: string; version: number }[];
    return {
      keyVersion: keyVersion ?? 0,
      tmacKeyVersions: new Map(rows.map(({ issuer, version }) => [issuer, version])),
    };
  } finally {
    db.close();
  }
}

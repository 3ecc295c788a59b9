/** The highest key versions that cards were given: what a new master must come after. */
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';

export interface GivenVersions {
  /** Of the keys 0 to 4 on any card; 0 without cards. */
  readonly keyVersion: number;
  /** Of the counter file's key, by issuer of the card. */
  readonly tmacKeyVersions: ReadonlyMap<string, number>;
}

/**
 * Looks them up in a registry file; all 0 if there is none.
 * @throws Error if the file cannot be read or is no registry.
 */
export function givenVersions(path: string): GivenVersions {
  if (!existsSync(path)) return { keyVersion: 0, tmacKeyVersions: new Map() };
  const db = new Database(path, { readonly: true });
  try {
    const rows = db
      .prepare('SELECT issuer, max(key_version) AS key, max(tmac_key_version) AS tmac FROM card GROUP BY issuer')
      .all() as { issuer: string; key: number; tmac: number }[];
    return {
      keyVersion: Math.max(0, ...rows.map(({ key }) => key)),
      tmacKeyVersions: new Map(rows.map(({ issuer, tmac }) => [issuer, tmac])),
    };
  } finally {
    db.close();
  }
}

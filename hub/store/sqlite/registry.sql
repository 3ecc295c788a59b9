-- The registry's tables: who and what takes part. Read whole at the start, written one row at a time.

CREATE TABLE IF NOT EXISTS meta (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS cooperative (
  id            TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  net_debit_cap INTEGER NOT NULL CHECK (net_debit_cap >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS member (
  id          TEXT PRIMARY KEY,
  cooperative TEXT NOT NULL REFERENCES cooperative (id),
  name        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS card (
  uid              TEXT PRIMARY KEY,
  number           TEXT NOT NULL UNIQUE,
  issuer           TEXT NOT NULL REFERENCES cooperative (id),
  member           TEXT NOT NULL REFERENCES member (id),
  key_version      INTEGER NOT NULL CHECK (key_version BETWEEN 0 AND 255),
  tmac_key_version INTEGER NOT NULL CHECK (tmac_key_version BETWEEN 0 AND 255),
  status           TEXT NOT NULL CHECK (status IN ('active', 'frozen', 'replaced', 'retired'))
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outlet (
  id          TEXT PRIMARY KEY,
  cooperative TEXT NOT NULL REFERENCES cooperative (id),
  name        TEXT NOT NULL,
  open        INTEGER NOT NULL CHECK (open IN (0, 1))
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number is never given twice, not even if the row with the highest one should vanish. The trigger keeps the
-- rows themselves, since every earlier number must stay known to verify what was certified under it.
CREATE TABLE IF NOT EXISTS kiosk (
  no          INTEGER PRIMARY KEY AUTOINCREMENT CHECK (no BETWEEN 1 AND 16777215),
  name        TEXT NOT NULL,
  outlet      TEXT NOT NULL REFERENCES outlet (id),
  serial      TEXT NOT NULL UNIQUE,
  sealing_key BLOB NOT NULL CHECK (length(sealing_key) = 65),
  witness     BLOB NOT NULL,
  revoked     INTEGER NOT NULL CHECK (revoked IN (0, 1))
) STRICT;
CREATE TRIGGER IF NOT EXISTS kiosk_kept BEFORE DELETE ON kiosk
BEGIN SELECT RAISE(ABORT, 'a kiosk number is never given up'); END;
CREATE TRIGGER IF NOT EXISTS kiosk_final BEFORE UPDATE OF no, name, serial, witness ON kiosk
BEGIN SELECT RAISE(ABORT, 'an enrolment never changes'); END;

-- A version is named on receipts: its terms never change.
CREATE TABLE IF NOT EXISTS tariff (
  version      INTEGER PRIMARY KEY,
  kind         TEXT NOT NULL,
  reach        TEXT NOT NULL CHECK (reach IN ('on-us', 'off-us')),
  fixed        INTEGER NOT NULL,
  basis_points INTEGER NOT NULL,
  min          INTEGER NOT NULL,
  max          INTEGER NOT NULL,
  shares       TEXT NOT NULL,
  valid_from   TEXT NOT NULL
) STRICT;

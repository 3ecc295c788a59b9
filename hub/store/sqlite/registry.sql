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

-- `told`: status and counter key as the ledger last had them; it has a file of its own and is told after this one.
CREATE TABLE IF NOT EXISTS card (
  uid              TEXT PRIMARY KEY REFERENCES chip (uid),
  number           TEXT NOT NULL UNIQUE,
  issuer           TEXT NOT NULL REFERENCES cooperative (id),
  member           TEXT NOT NULL REFERENCES member (id),
  key_version      INTEGER NOT NULL CHECK (key_version BETWEEN 1 AND 255),
  tmac_key_version INTEGER NOT NULL CHECK (tmac_key_version BETWEEN 1 AND 255),
  status           TEXT NOT NULL CHECK (
    status IN ('personalising', 'ready', 'active', 'frozen', 'replaced', 'retired')),
  made_seq         INTEGER UNIQUE CHECK (made_seq BETWEEN 1 AND 16777212),
  made_slot        INTEGER,
  made_at          INTEGER,
  told             TEXT NOT NULL DEFAULT '',
  CHECK ((made_seq IS NULL) = (made_slot IS NULL) AND (made_seq IS NULL) = (made_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS card_kept BEFORE DELETE ON card
BEGIN SELECT RAISE(ABORT, 'a card is never forgotten'); END;
CREATE INDEX IF NOT EXISTS card_of ON card (member);
CREATE TRIGGER IF NOT EXISTS card_fixed BEFORE UPDATE OF number, issuer, member, made_seq, made_slot, made_at ON card
WHEN OLD.number IS NOT NEW.number OR OLD.issuer IS NOT NEW.issuer OR OLD.member IS NOT NEW.member
  OR OLD.made_seq IS NOT NEW.made_seq OR OLD.made_slot IS NOT NEW.made_slot OR OLD.made_at IS NOT NEW.made_at
BEGIN SELECT RAISE(ABORT, 'a card keeps its number and its member'); END;
CREATE TRIGGER IF NOT EXISTS card_forward BEFORE UPDATE OF key_version, tmac_key_version ON card
WHEN NEW.key_version < OLD.key_version OR NEW.tmac_key_version < OLD.tmac_key_version
BEGIN SELECT RAISE(ABORT, 'versions of keys never go back'); END;

-- Every chip that was ever laid on the vault's reader. key_version: last proven version of key 0, 0 = none of ours yet.
CREATE TABLE IF NOT EXISTS chip (
  uid         TEXT PRIMARY KEY,
  profile     TEXT NOT NULL CHECK (profile IN ('desfire-light', 'desfire-ev', 'ntag424')),
  key_version INTEGER NOT NULL CHECK (key_version BETWEEN 0 AND 255)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS chip_kept BEFORE DELETE ON chip
BEGIN SELECT RAISE(ABORT, 'a chip is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS chip_forward BEFORE UPDATE OF key_version ON chip WHEN NEW.key_version < OLD.key_version
BEGIN SELECT RAISE(ABORT, 'versions of keys never go back'); END;

-- Every change of a key, written before it is sent. Key number 15 is the counter file's key, whose versions come once;
-- 16 is the master key of a DESFire EV2 or EV3 itself.
CREATE TABLE IF NOT EXISTS key_change (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  uid          TEXT NOT NULL REFERENCES chip (uid),
  key_no       INTEGER NOT NULL CHECK (key_no BETWEEN 0 AND 4 OR key_no IN (15, 16)),
  from_version INTEGER NOT NULL CHECK (from_version BETWEEN 0 AND 255),
  to_version   INTEGER NOT NULL CHECK (to_version BETWEEN 1 AND 255),
  at           INTEGER NOT NULL,
  proven       INTEGER NOT NULL CHECK (proven IN (0, 1)),
  CHECK (to_version >= from_version)
) STRICT;
CREATE INDEX IF NOT EXISTS key_change_of ON key_change (uid);
CREATE UNIQUE INDEX IF NOT EXISTS counter_key_once ON key_change (uid, to_version) WHERE key_no = 15;
CREATE TRIGGER IF NOT EXISTS key_change_kept BEFORE DELETE ON key_change
BEGIN SELECT RAISE(ABORT, 'a change of a key is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS key_change_final BEFORE UPDATE OF uid, key_no, from_version, to_version, at ON key_change
BEGIN SELECT RAISE(ABORT, 'a change of a key never changes'); END;

-- The highest count of a tag's readings by phones, under each version of the key that proves them: each is taken once.
CREATE TABLE IF NOT EXISTS sun (
  uid         TEXT NOT NULL REFERENCES chip (uid),
  key_version INTEGER NOT NULL CHECK (key_version BETWEEN 1 AND 255),
  counter     INTEGER NOT NULL CHECK (counter BETWEEN 0 AND 16777215),
  PRIMARY KEY (uid, key_version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS sun_kept BEFORE DELETE ON sun
BEGIN SELECT RAISE(ABORT, 'a reading is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS sun_forward BEFORE UPDATE ON sun
WHEN NEW.uid <> OLD.uid OR NEW.key_version <> OLD.key_version OR NEW.counter <= OLD.counter
BEGIN SELECT RAISE(ABORT, 'readings only count upward'); END;

-- Cards to be made, in the order in which chips are given to them. A number is never given twice, also not by an order
-- that was taken back.
CREATE TABLE IF NOT EXISTS card_order (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  number    TEXT NOT NULL UNIQUE,
  member    TEXT NOT NULL REFERENCES member (id),
  batch     TEXT NOT NULL,
  at        INTEGER NOT NULL,
  uid       TEXT UNIQUE REFERENCES chip (uid),
  withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)),
  CHECK (uid IS NULL OR withdrawn = 0)
) STRICT;
CREATE INDEX IF NOT EXISTS card_order_waiting ON card_order (id) WHERE uid IS NULL AND withdrawn = 0;
CREATE UNIQUE INDEX IF NOT EXISTS card_order_once ON card_order (member) WHERE uid IS NULL AND withdrawn = 0;
-- Otherwise the chip that is laid down for it could never become a card, and those behind it would wait for ever.
CREATE TRIGGER IF NOT EXISTS card_order_new BEFORE INSERT ON card_order
WHEN EXISTS (SELECT 1 FROM card WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'a card has this number'); END;
CREATE TRIGGER IF NOT EXISTS card_order_kept BEFORE DELETE ON card_order
BEGIN SELECT RAISE(ABORT, 'a card number is never given up'); END;
CREATE TRIGGER IF NOT EXISTS card_order_final BEFORE UPDATE OF number, member, batch, at, uid ON card_order
WHEN OLD.number IS NOT NEW.number OR OLD.member IS NOT NEW.member OR OLD.batch IS NOT NEW.batch OR OLD.at IS NOT NEW.at
  OR OLD.uid IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an order never changes'); END;

-- Drains of purses, each written before its commit leaves for the card. seq is under the hub's own number; evidence is
-- what the card was asked to certify. `ended`: the card was replaced or retired when the drain was booked.
CREATE TABLE IF NOT EXISTS drain (
  seq      INTEGER PRIMARY KEY CHECK (seq BETWEEN 1 AND 16777215),
  uid      TEXT NOT NULL REFERENCES card (uid),
  at       INTEGER NOT NULL,
  amount   INTEGER NOT NULL CHECK (amount >= 0),
  ended    INTEGER NOT NULL CHECK (ended IN (0, 1)),
  evidence BLOB NOT NULL,
  state    TEXT NOT NULL CHECK (state IN ('open', 'proven', 'booked', 'void'))
) STRICT;
CREATE INDEX IF NOT EXISTS drain_of ON drain (uid);
CREATE INDEX IF NOT EXISTS drain_unsettled ON drain (seq) WHERE state = 'open' OR state = 'proven';
CREATE TRIGGER IF NOT EXISTS drain_kept BEFORE DELETE ON drain
BEGIN SELECT RAISE(ABORT, 'a drain is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS drain_final BEFORE UPDATE OF seq, uid, at, amount, evidence ON drain
BEGIN SELECT RAISE(ABORT, 'a drain never changes'); END;
CREATE TRIGGER IF NOT EXISTS drain_forward BEFORE UPDATE OF state ON drain
WHEN NOT (OLD.state = 'open' OR (OLD.state = 'proven' AND NEW.state = 'booked'))
BEGIN SELECT RAISE(ABORT, 'what is known of a drain is never taken back'); END;

-- What people said about disputed payments; see the port. who and evidence are JSON lists of texts.
CREATE TABLE IF NOT EXISTS dispute_note (
  id       INTEGER PRIMARY KEY,
  payment  TEXT NOT NULL,
  hash     TEXT NOT NULL CHECK (length(hash) = 32),
  at       INTEGER NOT NULL,
  step     TEXT NOT NULL CHECK (step IN ('open', 'won', 'lost')),
  who      TEXT NOT NULL,
  reason   TEXT NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  evidence TEXT NOT NULL,
  UNIQUE (payment, hash)
) STRICT;
CREATE TRIGGER IF NOT EXISTS dispute_note_kept BEFORE DELETE ON dispute_note
BEGIN SELECT RAISE(ABORT, 'what was said of a dispute is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS dispute_note_final BEFORE UPDATE ON dispute_note
BEGIN SELECT RAISE(ABORT, 'what was said of a dispute never changes'); END;

CREATE TABLE IF NOT EXISTS outlet (
  id          TEXT PRIMARY KEY,
  cooperative TEXT NOT NULL REFERENCES cooperative (id),
  name        TEXT NOT NULL,
  open        INTEGER NOT NULL CHECK (open IN (0, 1))
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number is never given twice, not even if the row with the highest one should vanish. The trigger keeps the
-- rows themselves, since every earlier number must stay known to verify what was certified under it.
CREATE TABLE IF NOT EXISTS kiosk (
  no          INTEGER PRIMARY KEY AUTOINCREMENT CHECK (no BETWEEN 1 AND 16777214),
  name        TEXT NOT NULL,
  outlet      TEXT NOT NULL REFERENCES outlet (id),
  serial      TEXT NOT NULL UNIQUE,
  sealing_key BLOB NOT NULL CHECK (length(sealing_key) = 65),
  witness     BLOB NOT NULL,
  role        TEXT NOT NULL CHECK (role IN ('stall', 'issuing', 'counter')),
  offline     INTEGER NOT NULL CHECK (offline IN (0, 1)),
  revoked     INTEGER NOT NULL CHECK (revoked IN (0, 1))
) STRICT;
CREATE TRIGGER IF NOT EXISTS kiosk_kept BEFORE DELETE ON kiosk
BEGIN SELECT RAISE(ABORT, 'a kiosk number is never given up'); END;
CREATE TRIGGER IF NOT EXISTS kiosk_final BEFORE UPDATE OF no, name, serial, witness, role ON kiosk
BEGIN SELECT RAISE(ABORT, 'an enrolment never changes'); END;

-- A version is named on receipts: its terms never change.
CREATE TABLE IF NOT EXISTS tariff (
  version      INTEGER PRIMARY KEY,
  kind         TEXT NOT NULL,
  direction    TEXT NOT NULL CHECK (direction IN ('merchant', 'issuer')),
  reach        TEXT NOT NULL CHECK (reach IN ('on-us', 'off-us')),
  fixed        INTEGER NOT NULL,
  basis_points INTEGER NOT NULL,
  min          INTEGER NOT NULL,
  max          INTEGER NOT NULL,
  shares       TEXT NOT NULL,
  valid_from   TEXT NOT NULL
) STRICT;

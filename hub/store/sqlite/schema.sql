-- The ledger's tables. Nothing that was decided or posted is ever changed or deleted: triggers hold that wall.
-- Checks name values with OR: for IN with more than two SQLite builds a temporary index again for each row it writes.

CREATE TABLE IF NOT EXISTS meta (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Each entry belongs to the window that was open when it was committed (DESIGN section 9); exactly one is open.
CREATE TABLE IF NOT EXISTS settlement_window (
  no     INTEGER PRIMARY KEY,
  opened INTEGER NOT NULL,
  closed INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS settlement_window_open ON settlement_window ((closed IS NULL)) WHERE closed IS NULL;

-- balance = credits - debits; head = newest leg, where the account's chain begins (0 = no leg yet). The bound is written with
-- the row from the table of account kinds, so that this file repeats no rule and still refuses a broken balance.
-- Members' accounts: what left on the latest business date counted (`day`), what left and came in in its month.
CREATE TABLE IF NOT EXISTS account (
  id          INTEGER PRIMARY KEY,
  cooperative TEXT NOT NULL,
  kind        TEXT NOT NULL,
  owner       TEXT NOT NULL,
  bound       TEXT NOT NULL CHECK (bound = 'credit' OR bound = 'debit' OR bound = 'free'),
  balance     INTEGER NOT NULL,
  head        INTEGER NOT NULL,
  day         TEXT NOT NULL DEFAULT '',
  day_out     INTEGER NOT NULL DEFAULT 0 CHECK (day_out >= 0),
  month_out   INTEGER NOT NULL DEFAULT 0 CHECK (month_out >= 0),
  month_in    INTEGER NOT NULL DEFAULT 0 CHECK (month_in >= 0),
  UNIQUE (cooperative, kind, owner),
  CHECK ((bound <> 'credit' OR balance >= 0) AND (bound <> 'debit' OR balance <= 0))
) STRICT;

-- One decision a row, with or without an entry, appended in the order of judging. key = origin * 2^24 + seq, below 2^52: the
-- business key is the row's own unique key. It is not the rowid: rows of some 800 bytes in the order of 500 kiosks would
-- split and rewrite scattered pages (13 KB of log per entry against 5.4 KB so).
CREATE TABLE IF NOT EXISTS entry (
  id          INTEGER PRIMARY KEY,
  key         INTEGER NOT NULL UNIQUE,
  hash        TEXT NOT NULL,
  outcome     TEXT NOT NULL CHECK (
    outcome = 'approved' OR outcome = 'declined' OR outcome = 'cancelled' OR outcome = 'expired'),
  reason      TEXT,
  at          INTEGER NOT NULL,
  date        TEXT NOT NULL,
  window      INTEGER NOT NULL,
  kind        TEXT,
  authority   TEXT,
  card        TEXT,
  key_version INTEGER,
  tmc         INTEGER,
  original    INTEGER,
  amount      INTEGER NOT NULL CHECK (amount >= 0),
  counted     INTEGER NOT NULL,
  leg         INTEGER NOT NULL,
  legs        INTEGER NOT NULL,
  receipt     TEXT NOT NULL,
  evidence    BLOB,
  CHECK ((outcome = 'approved') = (legs > 0))
) STRICT;

-- Append only, in the order of posting, without a secondary index: `previous` is the account's leg before (0 = none) and
-- `balance` the account's balance after this leg, so a statement walks the chain and an audit needs no replay.
CREATE TABLE IF NOT EXISTS leg (
  id       INTEGER PRIMARY KEY,
  entry    INTEGER NOT NULL,
  account  INTEGER NOT NULL,
  amount   INTEGER NOT NULL CHECK (amount <> 0),
  previous INTEGER NOT NULL,
  balance  INTEGER NOT NULL
) STRICT;

-- A card's current chain (key version, highest counter), its latest approved sale per kiosk and its sums without PIN: of a
-- day, and since decision `pin` (0 = since ever).
CREATE TABLE IF NOT EXISTS card (
  id          INTEGER PRIMARY KEY,
  uid         TEXT NOT NULL UNIQUE,
  status      TEXT NOT NULL CHECK (
    status = 'ready' OR status = 'active' OR status = 'frozen' OR status = 'replaced' OR status = 'retired'),
  key_version INTEGER NOT NULL,
  tmc         INTEGER NOT NULL,
  recent      TEXT NOT NULL,
  day         TEXT NOT NULL,
  day_sum     INTEGER NOT NULL CHECK (day_sum >= 0),
  no_pin      INTEGER NOT NULL CHECK (no_pin >= 0),
  pin         INTEGER NOT NULL
) STRICT;

-- Chains under earlier key versions: their certificates still verify and their slots still fill once.
CREATE TABLE IF NOT EXISTS chain (
  card        INTEGER NOT NULL,
  key_version INTEGER NOT NULL,
  tmc         INTEGER NOT NULL,
  PRIMARY KEY (card, key_version)
) STRICT, WITHOUT ROWID;

-- Counters of a chain that nothing has filled yet, as ranges.
CREATE TABLE IF NOT EXISTS gap (
  card        INTEGER NOT NULL,
  key_version INTEGER NOT NULL,
  first       INTEGER NOT NULL,
  last        INTEGER NOT NULL CHECK (last >= first),
  PRIMARY KEY (card, key_version, first)
) STRICT, WITHOUT ROWID;

-- Money set aside for an undecided withdrawal or bill (TRUTH section 6). key = that of its decision, which stands in `entry` once the hold
-- has ended. instruction and facts are JSON, amounts in rupiah; counted is what it drew from the card's sums without PIN
-- (before the decision `next`), claim what the
-- kiosk said at the release or what the biller is asked for, officers who ended it, answer what the biller said.
CREATE TABLE IF NOT EXISTS hold (
  key         INTEGER PRIMARY KEY,
  hash        TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state = 'held' OR state = 'released' OR state = 'posted' OR state = 'voided'),
  at          INTEGER NOT NULL,
  until       INTEGER NOT NULL,
  released    INTEGER,
  instruction TEXT NOT NULL,
  facts       TEXT NOT NULL,
  slot        TEXT,
  evidence    BLOB,
  counted     INTEGER NOT NULL CHECK (counted >= 0),
  next        INTEGER NOT NULL,
  claim       TEXT,
  officers    TEXT,
  answer      TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS hold_open ON hold (key) WHERE state = 'held' OR state = 'released';

-- The prefunded part of a counter's cash, less what open holds wait for.
CREATE TABLE IF NOT EXISTS float (
  outlet TEXT PRIMARY KEY,
  value  INTEGER NOT NULL CHECK (value >= 0)
) STRICT, WITHOUT ROWID;

-- What refunds, voids and disputes took of a payment (its key): together never more than it (TRUTH section 9).
CREATE TABLE IF NOT EXISTS returned (
  key         INTEGER PRIMARY KEY,
  refunded    INTEGER NOT NULL CHECK (refunded >= 0),
  disputed    INTEGER NOT NULL CHECK (disputed >= 0),
  provisional INTEGER NOT NULL CHECK (provisional >= 0 AND provisional <= disputed),
  until       INTEGER CHECK ((until IS NULL) = (disputed = 0)),
  ended       INTEGER NOT NULL CHECK (ended = 0 OR ended = 1),
  cooperative TEXT NOT NULL,
  owner       TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS returned_until ON returned (until) WHERE until IS NOT NULL;

CREATE TRIGGER IF NOT EXISTS returned_kept BEFORE DELETE ON returned
BEGIN SELECT RAISE(ABORT, 'what was taken back is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS returned_forward BEFORE UPDATE ON returned
WHEN NEW.key <> OLD.key OR NEW.refunded < OLD.refunded OR NEW.ended < OLD.ended
BEGIN SELECT RAISE(ABORT, 'what was taken back only grows'); END;

CREATE TABLE IF NOT EXISTS alarm (
  id     INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  kind   TEXT NOT NULL,
  kiosk  TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

-- Only the request that came too late for a cancelled sale may still be noted on its row: its hash, slot and evidence.
CREATE TRIGGER IF NOT EXISTS entry_final
BEFORE UPDATE OF id, key, outcome, reason, at, date, window, kind, authority, original, amount, counted, leg, legs, receipt
  ON entry
BEGIN SELECT RAISE(ABORT, 'a decision never changes'); END;
CREATE TRIGGER IF NOT EXISTS entry_noted BEFORE UPDATE ON entry WHEN OLD.hash <> ''
BEGIN SELECT RAISE(ABORT, 'a request is noted once'); END;
CREATE TRIGGER IF NOT EXISTS entry_kept BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a decision is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS hold_final BEFORE UPDATE OF key, hash, at, until, instruction, facts, slot, evidence, counted, next ON hold
BEGIN SELECT RAISE(ABORT, 'what is held never changes'); END;
CREATE TRIGGER IF NOT EXISTS hold_forward BEFORE UPDATE OF state, released, claim, officers, answer ON hold
WHEN OLD.state = 'posted' OR OLD.state = 'voided' OR NEW.state = 'held' OR (OLD.state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a hold goes forward only, and ends once'); END;
CREATE TRIGGER IF NOT EXISTS hold_kept BEFORE DELETE ON hold
BEGIN SELECT RAISE(ABORT, 'a hold is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS leg_final BEFORE UPDATE ON leg
BEGIN SELECT RAISE(ABORT, 'a leg never changes'); END;
CREATE TRIGGER IF NOT EXISTS leg_kept BEFORE DELETE ON leg
BEGIN SELECT RAISE(ABORT, 'a leg is never deleted'); END;

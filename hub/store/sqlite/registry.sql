-- The registry's tables: who and what takes part. Read whole at the start, written one row at a time.

CREATE TABLE IF NOT EXISTS meta (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS cooperative (
  id            TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  net_debit_cap INTEGER NOT NULL CHECK (net_debit_cap >= 0),
  cap_alert     INTEGER NOT NULL DEFAULT 8000 CHECK (cap_alert BETWEEN 0 AND 10000)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS member (
  id          TEXT PRIMARY KEY,
  cooperative TEXT NOT NULL REFERENCES cooperative (id),
  name        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What kind of hub this is, once and for ever: pretended money never becomes real by a switch.
CREATE TABLE IF NOT EXISTS hub (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  mode TEXT NOT NULL CHECK (mode IN ('demo', 'licensed'))
) STRICT;
CREATE TRIGGER IF NOT EXISTS hub_kept BEFORE DELETE ON hub
BEGIN SELECT RAISE(ABORT, 'a hub stays what it is'); END;
CREATE TRIGGER IF NOT EXISTS hub_final BEFORE UPDATE ON hub
BEGIN SELECT RAISE(ABORT, 'a hub stays what it is'); END;

-- What a cooperative's licence allows and asks for; amounts in rupiah, profiles as JSON from level to name.
CREATE TABLE IF NOT EXISTS licence (
  cooperative     TEXT PRIMARY KEY REFERENCES cooperative (id),
  off_us          INTEGER NOT NULL CHECK (off_us IN (0, 1)),
  purse           INTEGER NOT NULL CHECK (purse IN (0, 1)),
  deposits        INTEGER NOT NULL CHECK (deposits IN (0, 1)),
  members_only    INTEGER NOT NULL CHECK (members_only IN (0, 1)),
  due_diligence   TEXT NOT NULL CHECK (due_diligence IN ('none', 'simple', 'full')),
  profiles        TEXT NOT NULL,
  cash_threshold  INTEGER CHECK (cash_threshold > 0),
  cash_notice     INTEGER CHECK (cash_notice > 0),
  float_report    INTEGER NOT NULL CHECK (float_report IN (0, 1)),
  retention_years INTEGER NOT NULL CHECK (retention_years > 0)
) STRICT, WITHOUT ROWID;

-- What a cooperative knows of who holds an account; no row: a member of whom nothing is known.
CREATE TABLE IF NOT EXISTS holder (
  member TEXT PRIMARY KEY REFERENCES member (id),
  level  TEXT NOT NULL CHECK (level IN ('none', 'simple', 'full')),
  public INTEGER NOT NULL CHECK (public IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Every change of the two tables above: who (JSON list of names), what, before, after, when. Append only.
CREATE TABLE IF NOT EXISTS licence_change (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  at          INTEGER NOT NULL,
  cooperative TEXT NOT NULL REFERENCES cooperative (id),
  member      TEXT REFERENCES member (id),
  what        TEXT NOT NULL,
  before      TEXT NOT NULL,
  after       TEXT NOT NULL CHECK (after <> before),
  officers    TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS licence_change_kept BEFORE DELETE ON licence_change
BEGIN SELECT RAISE(ABORT, 'a change of a licence is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS licence_change_final BEFORE UPDATE ON licence_change
BEGIN SELECT RAISE(ABORT, 'a change of a licence never changes'); END;
-- What members may do, in rupiah; see `LimitProfile` in protocol/limits.ts.
CREATE TABLE IF NOT EXISTS limit_profile (
  name           TEXT PRIMARY KEY,
  per_tap        INTEGER NOT NULL CHECK (per_tap >= 0),
  per_day        INTEGER NOT NULL CHECK (per_day >= 0),
  per_month      INTEGER NOT NULL CHECK (per_month >= 0),
  per_month_in   INTEGER NOT NULL CHECK (per_month_in >= 0),
  max_balance    INTEGER NOT NULL CHECK (max_balance >= 0),
  pin_above      INTEGER NOT NULL CHECK (pin_above >= 0),
  no_pin_sum     INTEGER NOT NULL CHECK (no_pin_sum >= 0),
  no_pin_per_day INTEGER NOT NULL CHECK (no_pin_per_day >= 0)
) STRICT, WITHOUT ROWID;

-- Members with another profile than the default, or with limits of their own (NULL = none).
CREATE TABLE IF NOT EXISTS member_limit (
  member  TEXT PRIMARY KEY REFERENCES member (id),
  profile TEXT NOT NULL REFERENCES limit_profile (name),
  per_tap INTEGER CHECK (per_tap >= 0),
  per_day INTEGER CHECK (per_day >= 0)
) STRICT, WITHOUT ROWID;

-- Who changed which limit, from what to what: JSON, amounts in rupiah.
CREATE TABLE IF NOT EXISTS limit_change (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL,
  what     TEXT NOT NULL CHECK (what IN ('profile', 'cap', 'member')),
  name     TEXT NOT NULL,
  before   TEXT,
  after    TEXT NOT NULL,
  officers TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS limit_change_final BEFORE UPDATE ON limit_change
BEGIN SELECT RAISE(ABORT, 'who changed a limit never changes'); END;
CREATE TRIGGER IF NOT EXISTS limit_change_kept BEFORE DELETE ON limit_change
BEGIN SELECT RAISE(ABORT, 'who changed a limit is never forgotten'); END;

-- Rules that reward payments; see `Incentive` in hub/rules/incentives.ts. Only the end of one ever changes.
CREATE TABLE IF NOT EXISTS incentive (
  id           TEXT PRIMARY KEY,
  cooperative  TEXT NOT NULL REFERENCES cooperative (id),
  budget       TEXT NOT NULL,
  kind         TEXT NOT NULL CHECK (kind = 'purchase'),
  form         TEXT NOT NULL CHECK (form IN ('cashback', 'points')),
  outlet       TEXT REFERENCES outlet (id),
  acquirer     TEXT REFERENCES cooperative (id),
  members      TEXT REFERENCES cooperative (id),
  fixed        INTEGER NOT NULL CHECK (fixed >= 0),
  basis_points INTEGER NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
  most         INTEGER NOT NULL CHECK (most > 0),
  least        INTEGER NOT NULL CHECK (least >= 0),
  valid_from   TEXT NOT NULL,
  valid_until  TEXT
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS incentive_kept BEFORE DELETE ON incentive
BEGIN SELECT RAISE(ABORT, 'a rule that rewarded payments is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS incentive_fixed BEFORE UPDATE OF id, cooperative, budget, kind, form, outlet, acquirer,
  members, fixed, basis_points, most, least, valid_from ON incentive
BEGIN SELECT RAISE(ABORT, 'end a rule and add another: what was rewarded by it stays explained'); END;

-- Balance of a budget, in rupiah, at which its officers are warned.
CREATE TABLE IF NOT EXISTS incentive_budget (
  cooperative TEXT NOT NULL REFERENCES cooperative (id),
  id          TEXT NOT NULL,
  low         INTEGER NOT NULL CHECK (low >= 0),
  PRIMARY KEY (cooperative, id)
) STRICT, WITHOUT ROWID;

-- Who added, ended or funded what: JSON, amounts in rupiah.
CREATE TABLE IF NOT EXISTS incentive_change (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL,
  what     TEXT NOT NULL CHECK (what IN ('add', 'end', 'fund')),
  name     TEXT NOT NULL,
  after    TEXT NOT NULL,
  officers TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS incentive_change_final BEFORE UPDATE ON incentive_change
BEGIN SELECT RAISE(ABORT, 'who changed an incentive never changes'); END;
CREATE TRIGGER IF NOT EXISTS incentive_change_kept BEFORE DELETE ON incentive_change
BEGIN SELECT RAISE(ABORT, 'who changed an incentive is never forgotten'); END;

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

-- `owner`: NULL where the outlet is the cooperative's own. `payees`: JSON, empty where the outlet earns all it takes.
CREATE TABLE IF NOT EXISTS outlet (
  id          TEXT PRIMARY KEY,
  cooperative TEXT NOT NULL REFERENCES cooperative (id),
  name        TEXT NOT NULL,
  class       TEXT NOT NULL,
  open        INTEGER NOT NULL CHECK (open IN (0, 1)),
  owner       TEXT REFERENCES member (id),
  payees      TEXT NOT NULL DEFAULT '[]' CHECK (json_type(payees) IS 'array')
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
  role        TEXT NOT NULL CHECK (role IN ('stall', 'issuing', 'counter', 'bills')),
  offline     INTEGER NOT NULL CHECK (offline IN (0, 1)),
  revoked     INTEGER NOT NULL CHECK (revoked IN (0, 1))
) STRICT;
CREATE TRIGGER IF NOT EXISTS kiosk_kept BEFORE DELETE ON kiosk
BEGIN SELECT RAISE(ABORT, 'a kiosk number is never given up'); END;
CREATE TRIGGER IF NOT EXISTS kiosk_final BEFORE UPDATE OF no, name, serial, witness, role ON kiosk
BEGIN SELECT RAISE(ABORT, 'an enrolment never changes'); END;

-- A version names its terms for ever: a version never changes its meaning, and none is taken back. class NULL: any outlet; until
-- NULL: for good; officers: JSON, the two who added it, NULL for a town's first tariffs.
CREATE TABLE IF NOT EXISTS tariff (
  version      INTEGER PRIMARY KEY,
  kind         TEXT NOT NULL,
  direction    TEXT NOT NULL CHECK (direction IN ('merchant', 'issuer', 'member')),
  reach        TEXT NOT NULL CHECK (reach IN ('on-us', 'off-us')),
  class        TEXT,
  fixed        INTEGER NOT NULL,
  basis_points INTEGER NOT NULL,
  min          INTEGER NOT NULL,
  max          INTEGER NOT NULL,
  shares       TEXT NOT NULL,
  valid_from   TEXT NOT NULL,
  valid_until  TEXT,
  added        INTEGER NOT NULL,
  officers     TEXT
) STRICT;
CREATE TRIGGER IF NOT EXISTS tariff_kept BEFORE DELETE ON tariff
BEGIN SELECT RAISE(ABORT, 'a tariff is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS tariff_final BEFORE UPDATE ON tariff
BEGIN SELECT RAISE(ABORT, 'a tariff never changes'); END;

-- The town's whole table as it was signed for kiosks, each time it changed. upto: highest version of a tariff at that time.
CREATE TABLE IF NOT EXISTS tariff_book (
  book      INTEGER PRIMARY KEY CHECK (book BETWEEN 1 AND 2147483647),
  upto      INTEGER NOT NULL,
  text      TEXT NOT NULL,
  signature TEXT NOT NULL,
  made      INTEGER NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS tariff_book_kept BEFORE DELETE ON tariff_book
BEGIN SELECT RAISE(ABORT, 'a tariff book is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS tariff_book_final BEFORE UPDATE ON tariff_book
BEGIN SELECT RAISE(ABORT, 'a tariff book never changes'); END;

-- What a kiosk said is on its disk, in the order in which it said so; it prices the kiosk's sales from first_seq on.
CREATE TABLE IF NOT EXISTS tariff_ack (
  id        INTEGER PRIMARY KEY,
  kiosk     INTEGER NOT NULL REFERENCES kiosk (no),
  book      INTEGER NOT NULL REFERENCES tariff_book (book),
  class     TEXT NOT NULL,
  first_seq INTEGER NOT NULL CHECK (first_seq BETWEEN 1 AND 16777215),
  at        INTEGER NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS tariff_ack_kept BEFORE DELETE ON tariff_ack
BEGIN SELECT RAISE(ABORT, 'what a kiosk acknowledged is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS tariff_ack_final BEFORE UPDATE ON tariff_ack
BEGIN SELECT RAISE(ABORT, 'what a kiosk acknowledged never changes'); END;

-- What of the station must survive, as rows of named slices (agent.core.durable).
CREATE TABLE station (
    slice TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,          -- JSON
    PRIMARY KEY (slice, key)
) STRICT, WITHOUT ROWID;

-- Records on their way to the CSMS. Everything but the body is what the core's index needs
-- at start, so that bodies are read one at a time, when their turn comes.
CREATE TABLE record (
    record_id      INTEGER PRIMARY KEY,   -- order of delivery
    kind           TEXT    NOT NULL,
    transaction_id TEXT    NOT NULL,      -- empty: belongs to none
    boot           INTEGER NOT NULL,
    monotonic_s    REAL    NOT NULL,
    wall_s         REAL,
    is_sample      INTEGER NOT NULL,
    body           BLOB    NOT NULL       -- JSON
) STRICT;

-- Records that could not be delivered, for people. Record numbers repeat over the years,
-- positions do not.
CREATE TABLE set_aside (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id      INTEGER NOT NULL,
    kind           TEXT    NOT NULL,
    transaction_id TEXT    NOT NULL,
    note           TEXT    NOT NULL,
    body           BLOB    NOT NULL
) STRICT;

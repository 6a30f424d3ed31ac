/**
 * How the database came to its shape: each migration runs once, in order, in a transaction with the version that it leads to.
 *
 * A migration that was released is never changed; the next one is added behind it.
 */

/** SQLite's mark of whose file it is (PRAGMA application_id): "RbLs". */
export const applicationId = 0x52624c73;

export const migrations: readonly string[] = [
  `
  CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('enrolled', 'revoked')),
    enrolled_at INTEGER NOT NULL,
    last_seen_at INTEGER,
    facts_revision INTEGER NOT NULL DEFAULT 0,
    assignment_revision INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE facts (
    device_id TEXT NOT NULL REFERENCES devices (id),
    name TEXT NOT NULL,
    value_json TEXT NOT NULL,
    PRIMARY KEY (device_id, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE groups (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO groups (id, title, created_at) VALUES ('all', 'All devices', 0);
  CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES groups (id),
    device_id TEXT NOT NULL REFERENCES devices (id),
    PRIMARY KEY (group_id, device_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX group_members_by_device ON group_members (device_id);
  CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    hotpatch_id TEXT NOT NULL,
    group_id TEXT NOT NULL REFERENCES groups (id),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    UNIQUE (hotpatch_id, group_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX approvals_by_group ON approvals (group_id);
  CREATE TABLE actions (
    id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES devices (id),
    hotpatch_id TEXT NOT NULL,
    wanted TEXT NOT NULL CHECK (wanted IN ('applied', 'reverted')),
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    times_json TEXT NOT NULL,
    UNIQUE (device_id, hotpatch_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE reports (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id TEXT NOT NULL REFERENCES devices (id),
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (device_id, key)
  ) STRICT;
  CREATE INDEX reports_by_device ON reports (device_id, sequence);
  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    data_json TEXT NOT NULL
  ) STRICT;
  CREATE TABLE one_time_words (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('enrolment', 'sign-in')),
    digest BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    group_id TEXT,
    used_at INTEGER,
    device_id TEXT REFERENCES devices (id),
    key_digest BLOB
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,
    administrator TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE actions ADD COLUMN processes_json TEXT NOT NULL DEFAULT '[]';
  `,
];

/** The tables of the first version, which is released and never changed. */
import type { SqlWords } from "./sql-words.ts";

export function fleetTables({ text, integer, table }: SqlWords): string {
  return `
  CREATE TABLE devices (
    id ${text} PRIMARY KEY,
    name ${text} NOT NULL,
    state ${text} NOT NULL CHECK (state IN ('enrolled', 'revoked')),
    enrolled_at ${integer} NOT NULL,
    last_seen_at ${integer},
    facts_revision ${integer} NOT NULL DEFAULT 0,
    assignment_revision ${integer} NOT NULL DEFAULT 0
  ) ${table};
  CREATE TABLE facts (
    device_id ${text} NOT NULL REFERENCES devices (id),
    name ${text} NOT NULL,
    value_json ${text} NOT NULL,
    PRIMARY KEY (device_id, name)
  ) ${table};
  CREATE TABLE groups (
    id ${text} PRIMARY KEY,
    title ${text} NOT NULL,
    created_at ${integer} NOT NULL
  ) ${table};
  INSERT INTO groups (id, title, created_at) VALUES ('all', 'All devices', 0);
  CREATE TABLE group_members (
    group_id ${text} NOT NULL REFERENCES groups (id),
    device_id ${text} NOT NULL REFERENCES devices (id),
    PRIMARY KEY (group_id, device_id)
  ) ${table};
  CREATE INDEX group_members_by_device ON group_members (device_id);
  CREATE TABLE approvals (
    id ${text} PRIMARY KEY,
    hotpatch_id ${text} NOT NULL,
    group_id ${text} NOT NULL REFERENCES groups (id),
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL,
    UNIQUE (hotpatch_id, group_id)
  ) ${table};
  CREATE INDEX approvals_by_group ON approvals (group_id);
  `;
}

export function workTables({ text, integer, bytes, counted, table, countedTable }: SqlWords): string {
  return `
  CREATE TABLE actions (
    id ${text} PRIMARY KEY,
    device_id ${text} NOT NULL REFERENCES devices (id),
    hotpatch_id ${text} NOT NULL,
    wanted ${text} NOT NULL CHECK (wanted IN ('applied', 'reverted')),
    state ${text} NOT NULL,
    reason ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    changed_at ${integer} NOT NULL,
    times_json ${text} NOT NULL,
    UNIQUE (device_id, hotpatch_id)
  ) ${table};
  CREATE TABLE reports (
    sequence ${counted},
    device_id ${text} NOT NULL REFERENCES devices (id),
    key ${text} NOT NULL,
    digest ${bytes} NOT NULL,
    UNIQUE (device_id, key)
  ) ${countedTable};
  CREATE INDEX reports_by_device ON reports (device_id, sequence);
  CREATE TABLE events (
    sequence ${counted},
    at ${integer} NOT NULL,
    kind ${text} NOT NULL,
    subject ${text} NOT NULL,
    data_json ${text} NOT NULL
  ) ${countedTable};
  CREATE TABLE one_time_words (
    id ${text} PRIMARY KEY,
    purpose ${text} NOT NULL CHECK (purpose IN ('enrolment', 'sign-in')),
    digest ${bytes} NOT NULL,
    expires_at ${integer} NOT NULL,
    group_id ${text},
    used_at ${integer},
    device_id ${text} REFERENCES devices (id),
    key_digest ${bytes}
  ) ${table};
  CREATE TABLE sessions (
    digest ${bytes} PRIMARY KEY,
    administrator ${text} NOT NULL,
    expires_at ${integer} NOT NULL
  ) ${table};
  `;
}

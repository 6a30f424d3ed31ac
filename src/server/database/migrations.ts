/**
 * How the database came to its shape: each migration runs once, in order, in a transaction with the version that it leads to.
 *
 * A migration that was released is never changed; the next one is added behind it.
 * Each is one text for SQLite and PostgreSQL, apart from the words of sql-words.ts; docs/server.md says what to keep to in queries.
 */
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { approvalTables, ruleTables } from "../approvals/approval-tables.ts";
import { fourEyesTables } from "../four-eyes/four-eyes-tables.ts";
import { announcementTables, policyTables, windowTables } from "../policies/policy-tables.ts";
import { rolloutTables } from "../rollouts/rollout-tables.ts";
import { webhookTables } from "../webhooks/webhook-tables.ts";
import { accessTables } from "./access-tables.ts";
import { fleetTables, workTables } from "./first-tables.ts";
import type { SqlWords } from "./sql-words.ts";

/** SQLite's mark of whose file it is (PRAGMA application_id): "RbLs". */
export const applicationId = 0x52624c73;

export const migrations: readonly ((words: SqlWords) => string)[] = [
  (words) => fleetTables(words) + workTables(words),
  ({ text }) => `
  ALTER TABLE actions ADD COLUMN processes_json ${text} NOT NULL DEFAULT '[]';
  `,
  // Events are numbered by a row that is locked until the transaction ends, since the sequences of PostgreSQL leave gaps.
  ({ text, integer, table }) => `
  CREATE TABLE counters (
    name ${text} PRIMARY KEY,
    value ${integer} NOT NULL
  ) ${table};
  INSERT INTO counters (name, value) SELECT 'events', COALESCE(MAX(sequence), 0) FROM events;
  CREATE TABLE settings (
    name ${text} PRIMARY KEY,
    value ${text} NOT NULL
  ) ${table};
  `,
  // Events that are there already stay without a link; the chain begins behind them.
  ({ text }) => `
  ALTER TABLE events ADD COLUMN link ${text};
  ALTER TABLE counters ADD COLUMN link ${text} NOT NULL DEFAULT '';
  `,
  // Groups get a tree, filters and exclusions, devices get tags, and facts the time of their change.
  // `group_members` stays what it was, who is in a group in the end; `group_own` is who is in it by hand or by its filter.
  ({ text, integer, table }) => `
  ALTER TABLE groups ADD COLUMN parent_id ${text} REFERENCES groups (id);
  ALTER TABLE groups ADD COLUMN filter ${text};
  UPDATE groups SET parent_id = 'all' WHERE id <> 'all';
  CREATE TABLE group_own (
    group_id ${text} NOT NULL REFERENCES groups (id),
    device_id ${text} NOT NULL REFERENCES devices (id),
    PRIMARY KEY (group_id, device_id)
  ) ${table};
  CREATE INDEX group_own_by_device ON group_own (device_id);
  INSERT INTO group_own (group_id, device_id) SELECT group_id, device_id FROM group_members;
  CREATE TABLE group_exclusions (
    group_id ${text} NOT NULL REFERENCES groups (id),
    excluded_id ${text} NOT NULL REFERENCES groups (id),
    PRIMARY KEY (group_id, excluded_id)
  ) ${table};
  CREATE TABLE group_exceptions (
    group_id ${text} NOT NULL REFERENCES groups (id),
    device_id ${text} NOT NULL REFERENCES devices (id),
    PRIMARY KEY (group_id, device_id)
  ) ${table};
  CREATE INDEX group_exceptions_by_device ON group_exceptions (device_id);
  CREATE TABLE device_tags (
    device_id ${text} NOT NULL REFERENCES devices (id),
    tag ${text} NOT NULL,
    PRIMARY KEY (device_id, tag)
  ) ${table};
  ALTER TABLE facts ADD COLUMN changed_at ${integer} NOT NULL DEFAULT 0;
  CREATE INDEX devices_by_name ON devices (name, id);
  CREATE INDEX devices_by_enrolment ON devices (enrolled_at, id);
  `,
  // What keeps a hotpatch that is wanted off a device.
  ({ text, integer, table }) => `
  CREATE TABLE offer_blocks (
    device_id ${text} NOT NULL REFERENCES devices (id),
    hotpatch_id ${text} NOT NULL,
    code ${text} NOT NULL,
    subject ${text} NOT NULL,
    rank ${integer} NOT NULL,
    reason ${text} NOT NULL,
    helps ${text} NOT NULL,
    until_at ${integer},
    since ${integer} NOT NULL,
    PRIMARY KEY (device_id, hotpatch_id, code, subject)
  ) ${table};
  CREATE INDEX offer_blocks_by_hotpatch ON offer_blocks (hotpatch_id, code, subject);
  CREATE INDEX offer_blocks_by_subject ON offer_blocks (code, subject);
  CREATE INDEX offer_blocks_by_end ON offer_blocks (until_at);
  CREATE INDEX actions_by_hotpatch ON actions (hotpatch_id, state);
  CREATE INDEX actions_by_state ON actions (state);
  `,
  // The state of each device for each product; `known_hotpatches` says which product a hotpatch is for.
  ({ text, integer, table }) => `
  CREATE TABLE known_hotpatches (
    id ${text} PRIMARY KEY,
    product ${text} NOT NULL,
    sequence ${integer} NOT NULL,
    facts_json ${text} NOT NULL
  ) ${table};
  CREATE INDEX known_hotpatches_by_product ON known_hotpatches (product, sequence);
  CREATE TABLE device_states (
    device_id ${text} NOT NULL REFERENCES devices (id),
    product ${text} NOT NULL,
    state ${text} NOT NULL,
    code ${text} NOT NULL,
    hotpatch_id ${text} NOT NULL,
    sequence ${integer} NOT NULL,
    in_place_id ${text},
    in_place_sequence ${integer},
    reason ${text} NOT NULL,
    helps ${text} NOT NULL,
    since ${integer} NOT NULL,
    until_at ${integer},
    PRIMARY KEY (device_id, product)
  ) ${table};
  CREATE INDEX device_states_by_product ON device_states (product, state, device_id);
  CREATE INDEX device_states_by_state ON device_states (state, device_id, product);
  ALTER TABLE actions ADD COLUMN taken_back_by ${text};
  `,
  // Known issues with their history, and safeguard holds.
  ({ text, integer, table }) => `
  CREATE TABLE known_issues (
    id ${text} PRIMARY KEY,
    title ${text} NOT NULL,
    text ${text} NOT NULL,
    status ${text} NOT NULL,
    originating ${text},
    resolved_by ${text},
    created_at ${integer} NOT NULL,
    changed_at ${integer} NOT NULL
  ) ${table};
  CREATE TABLE known_issue_hotpatches (
    issue_id ${text} NOT NULL REFERENCES known_issues (id),
    hotpatch_id ${text} NOT NULL,
    PRIMARY KEY (issue_id, hotpatch_id)
  ) ${table};
  CREATE TABLE known_issue_history (
    issue_id ${text} NOT NULL REFERENCES known_issues (id),
    number ${integer} NOT NULL,
    at ${integer} NOT NULL,
    made_by ${text} NOT NULL,
    why ${text} NOT NULL,
    changes_json ${text} NOT NULL,
    PRIMARY KEY (issue_id, number)
  ) ${table};
  CREATE TABLE holds (
    id ${text} PRIMARY KEY,
    filter ${text},
    reason ${text} NOT NULL,
    issue_id ${text} REFERENCES known_issues (id),
    resolved_by ${text},
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL,
    released_at ${integer},
    released_by ${text},
    release_reason ${text}
  ) ${table};
  CREATE INDEX holds_by_issue ON holds (issue_id);
  CREATE TABLE hold_targets (
    hold_id ${text} NOT NULL REFERENCES holds (id),
    kind ${text} NOT NULL CHECK (kind IN ('hotpatch', 'product')),
    target ${text} NOT NULL,
    PRIMARY KEY (hold_id, kind, target)
  ) ${table};
  `,
  (words) => approvalTables(words) + ruleTables(words),
  // What the catalog said last, for gates; what groups opted into; what advisories say.
  ({ text, integer, table }) => `
  CREATE TABLE catalog_entries (
    kind ${text} NOT NULL,
    id ${text} NOT NULL,
    facts_json ${text} NOT NULL,
    withdrawn_json ${text},
    changed_at ${integer} NOT NULL,
    PRIMARY KEY (kind, id)
  ) ${table};
  CREATE TABLE group_servicing (
    group_id ${text} PRIMARY KEY REFERENCES groups (id),
    channel ${text} NOT NULL,
    preview ${integer} NOT NULL,
    may_leave_track ${integer} NOT NULL,
    reason ${text} NOT NULL,
    changed_at ${integer} NOT NULL,
    changed_by ${text} NOT NULL
  ) ${table};
  CREATE TABLE advisories (
    id ${text} NOT NULL,
    source ${text} NOT NULL,
    note_json ${text} NOT NULL,
    imported_at ${integer} NOT NULL,
    PRIMARY KEY (id, source)
  ) ${table};
  `,
  // Rules of eligibility that administrators changed or added, with their history.
  ({ text, integer, table }) => `
  CREATE TABLE eligibility_rules (
    id ${text} PRIMARY KEY,
    filter ${text} NOT NULL,
    products_json ${text} NOT NULL,
    reason ${text} NOT NULL,
    helps ${text} NOT NULL,
    unknown_facts ${text} NOT NULL,
    enabled ${integer} NOT NULL,
    changed_at ${integer} NOT NULL,
    changed_by ${text} NOT NULL
  ) ${table};
  CREATE TABLE eligibility_history (
    rule_id ${text} NOT NULL,
    number ${integer} NOT NULL,
    at ${integer} NOT NULL,
    made_by ${text} NOT NULL,
    why ${text} NOT NULL,
    rule_json ${text} NOT NULL,
    PRIMARY KEY (rule_id, number)
  ) ${table};
  `,
  // Who did it stands in events from here on; those from before have none, and their links stay as they are.
  accessTables,
  (words) => policyTables(words),
  (words) => fourEyesTables(words),
  (words) => windowTables(words),
  (words) => rolloutTables(words),
  (words) => webhookTables(words),
  ({ text, integer, table }) => `
  CREATE TABLE idempotency_keys (
    principal ${text} NOT NULL,
    key ${text} NOT NULL,
    fingerprint ${text} NOT NULL,
    answer_json ${text},
    expires_at ${integer} NOT NULL,
    PRIMARY KEY (principal, key)
  ) ${table};
  CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);
  `,
  (words) => announcementTables(words),
];

/** `name` is that of the database, for the message. Throws `server/state-newer`. */
export function checkVersion(version: number, name: string): void {
  if (version <= migrations.length) return;
  throw new RebootlessError(
    "server/state-newer",
    `The database ${quoted(name)} was written by a newer version of rebootless (schema ${version}; this one knows ${migrations.length}). Use that version, or a backup from before.`,
    { details: { version, known: migrations.length } },
  );
}

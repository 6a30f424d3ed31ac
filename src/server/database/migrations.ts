/**
 * How the database came to its shape: each migration runs once, in order, in a transaction with the version that it leads to.
 *
 * A migration that was released is never changed; the next one is added behind it.
 * Each is one text for SQLite and PostgreSQL, apart from the words of sql-words.ts; docs/server.md says what to keep to in queries.
 */
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
];

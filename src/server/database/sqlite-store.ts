/**
 * The database as one SQLite file, held by one process: nothing to set up.
 *
 * Invariant: a transaction that has ended is on the disk (WAL with synchronous=FULL), so what was acknowledged survives the death of the process and of the machine.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { HandleEmptyInListsPlugin, Kysely, replaceWithNoncontingentExpression, SqliteDialect } from "kysely";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { CommitGroup } from "./commit-group.ts";
import { applicationId, checkVersion, migrations } from "./migrations.ts";
import { sqliteWords } from "./sql-words.ts";
import type { Store } from "./store.ts";
import type { Tables } from "./tables.ts";

/** SQLITE_BUSY: another process holds the file. SQLITE_NOTADB and SQLITE_CORRUPT: it is no database, or a broken one. */
const sqlite = { busy: 5, corrupt: 11, notDatabase: 26 } as const;

/**
 * Opens the file, makes it when it is missing, and brings it to the newest shape.
 * Throws `server/state-busy`, `server/state-newer` or `server/state-damaged`.
 */
export function openSqliteStore(file: string): Store {
  const database = kyselyOver(openRaw(file));
  const commits = new CommitGroup(database);
  return {
    kind: "sqlite",
    database,
    // The one connection runs one transaction after the other.
    transaction: (_scope, work) => commits.run(work),
    // There is no other server.
    alone: async (work) => {
      await work();
      return true;
    },
    announce: async () => undefined,
    listen: async () => undefined,
    close: () => database.destroy(),
  };
}

/** Statements that are kept ready; a server asks some hundred different ones again and again. */
const statementsKept = 500;

function kyselyOver(raw: DatabaseSync): Kysely<Tables> {
  const ready = new Map<string, StatementSync>();
  const prepared = (text: string) => {
    const statement = ready.get(text) ?? raw.prepare(text);
    // The one that was used last stands last.
    ready.delete(text);
    ready.set(text, statement);
    const [oldest] = ready.keys();
    if (ready.size > statementsKept && oldest !== undefined) ready.delete(oldest);
    return statement;
  };
  return new Kysely<Tables>({
    plugins: [new HandleEmptyInListsPlugin({ strategy: replaceWithNoncontingentExpression })],
    dialect: new SqliteDialect({
      database: {
        close: () => raw.close(),
        prepare: (text) => {
          const statement = prepared(text);
          return {
            reader: statement.columns().length > 0,
            all: (values) => statement.all(...(values as SQLInputValue[])),
            run: (values) => {
              // A full disk makes SQLite roll back by itself; saying it again would hide the reason behind another error.
              if (text === "rollback" && !raw.isTransaction) return { changes: 0, lastInsertRowid: 0 };
              return statement.run(...(values as SQLInputValue[]));
            },
            // Rows that are still being read must not be begun anew by another reader.
            iterate: (values) => raw.prepare(text).iterate(...(values as SQLInputValue[])),
          };
        },
      },
    }),
  });
}

function openRaw(file: string): DatabaseSync {
  let raw: DatabaseSync | undefined;
  try {
    raw = new DatabaseSync(file, { enableForeignKeyConstraints: true });
    // One process alone: a second server on the same state would answer polls that the first one should wake.
    raw.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    migrate(raw, file);
    return raw;
  } catch (error) {
    raw?.close();
    throw opened(error, file);
  }
}

function opened(error: unknown, file: string): unknown {
  if (error instanceof RebootlessError) return error;
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  if (code === sqlite.busy) {
    return new RebootlessError(
      "server/state-busy",
      `Another server runs on ${quoted(file)}; stop it, or choose another state folder.`,
      { cause: error },
    );
  }
  const why =
    code === sqlite.notDatabase || code === sqlite.corrupt ? "it is not a whole database" : "it cannot be opened";
  return new RebootlessError(
    "server/state-damaged",
    `The database ${quoted(file)} cannot be used: ${why}; check the disk, or put a backup in its place.`,
    { cause: error },
  );
}

function numberOf(raw: DatabaseSync, pragma: string): number {
  return Number(Object.values(raw.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
}

function migrate(raw: DatabaseSync, file: string): void {
  const version = numberOf(raw, "user_version");
  const owner = numberOf(raw, "application_id");
  if (owner !== applicationId && (owner !== 0 || version !== 0)) {
    throw new RebootlessError("server/state-damaged", `The database ${quoted(file)} belongs to another program.`);
  }
  checkVersion(version, file);
  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue;
    raw.exec(
      `BEGIN EXCLUSIVE; ${migration(sqliteWords)}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${index + 1}; COMMIT`,
    );
  }
}

/**
 * The database on PostgreSQL, for any number of servers.
 *
 * Invariant: a transaction that has ended is on the disk of the database's machine, whatever that cluster does for others.
 * Invariant: changes are under way side by side only where their scopes allow it (docs/decisions/0011-many-servers-on-postgresql.md).
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { HandleEmptyInListsPlugin, Kysely, PostgresDialect, replaceWithNoncontingentExpression, sql } from "kysely";
import pg from "pg";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { applicationId, checkVersion, migrations } from "./migrations.ts";
import type { PostgresAddress } from "./postgres-address.ts";
import { isDatabaseAway, isUndone } from "./postgres-errors.ts";
import { channelOf, PostgresListener } from "./postgres-listener.ts";
import { postgresWords } from "./sql-words.ts";
import type { ChangeScope, Store } from "./store.ts";
import type { Database, Tables } from "./tables.ts";

/** Connections of one server; with those of all servers they must fit into max_connections of the cluster. */
const poolSize = 10;
const connectMs = 5_000;
/** How long a request may wait for one of them where thousands ask at once, which is no sign that the database is away. */
const turnMs = 25_000;
/** Whoever holds a lock for longer is dead or hangs; the cluster ends his session. */
const idleInTransactionMs = 30_000;
const lockMs = 20_000;
/** Times that a transaction is tried when the database undoes it for another one. */
const tries = 6;

/** The second of the two numbers of our advisory locks says which; the first is `lockSpace`. */
const locks = { migration: 1, fleet: 2, alone: 3 } as const;

/** Locks belong to a database and not to a schema, so those of each tenant are numbers of its own. */
function lockSpace({ schema }: PostgresAddress): number {
  return schema === undefined ? applicationId : createHash("sha256").update(schema).digest().readInt32BE();
}

/** int8 and numeric: counts and sums, all of which are far below 2^53. */
const numberTypes: readonly number[] = [20, 1700];

/**
 * Opens the database of that address and brings it to the newest shape.
 * Throws `server/database-away`, `server/database-refused`, `server/state-newer` or `server/state-damaged`.
 */
export async function openPostgresStore(address: PostgresAddress): Promise<Store> {
  const pool = openPool(address);
  const database = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new HandleEmptyInListsPlugin({ strategy: replaceWithNoncontingentExpression })],
  });
  try {
    await migrate(pool, address);
  } catch (error) {
    await pool.end();
    throw opened(error, address);
  }
  const space = lockSpace(address);
  let listener: PostgresListener | undefined;
  return {
    kind: "postgres",
    database,
    transaction: (scope, work) => transaction({ database, space }, scope, work),
    alone: (work) => alone({ database, space }, work),
    announce: (db, names) => announce(db, channelOf(address), names),
    async listen(signals) {
      listener = new PostgresListener(address, signals);
      await listener.start();
    },
    async close() {
      await listener?.close();
      await pool.end();
    },
  };
}

/** A notification holds less than 8000 bytes (PostgreSQL documentation, NOTIFY); a name has 36 at most. */
const namesOfNotification = 200;

/** This server hears itself as well: once more than it must, and also where the answer of COMMIT got lost. */
async function announce(db: Database, channel: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const payloads: string[] = [];
  for (let from = 0; from < names.length; from += namesOfNotification) {
    payloads.push(names.slice(from, from + namesOfNotification).join(" "));
  }
  await sql`SELECT pg_notify(${channel}, payload) FROM unnest(${payloads}::text[]) AS payload`.execute(db);
}

/** A pool hands its own patience on to the connections that it makes. */
class QuickToGiveUp extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    // With its properties as they are: a pool hides the password from those that go through them one by one.
    const own: pg.ClientConfig = Object.defineProperties({}, Object.getOwnPropertyDescriptors(config ?? {}));
    own.connectionTimeoutMillis = connectMs;
    super(own);
  }
}

function openPool({ config, schema }: PostgresAddress): pg.Pool {
  const pool = new pg.Pool({
    ...config,
    max: poolSize,
    connectionTimeoutMillis: turnMs,
    Client: QuickToGiveUp,
    keepAlive: true,
    application_name: "rebootless",
    types: { getTypeParser },
    onConnect: (client) => prepareSession(client, schema),
  });
  // A connection that breaks while nobody uses it, or between two queries, is replaced; what was asked on it is told by its query.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

const getTypeParser = ((type: number, format?: "text" | "binary") =>
  numberTypes.includes(type) && format !== "binary"
    ? wholeNumber
    : pg.types.getTypeParser(type, format as "text")) as typeof pg.types.getTypeParser;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    throw new RebootlessError("bug/invariant", `The database holds ${text}, which is beyond what a number can hold.`);
  }
  return value;
}

/**
 * Set by statements, since a pooler between us and the cluster declines parameters of the connection that it does not know.
 * A cluster may be told to acknowledge before it writes; what a server acknowledges has to be written.
 */
async function prepareSession(client: pg.ClientBase, schema: string | undefined): Promise<void> {
  // Nothing but the tenant's own can be named without its schema.
  if (schema !== undefined) await client.query("SELECT set_config('search_path', quote_ident($1), false)", [schema]);
  await client.query(
    `SELECT set_config('lock_timeout', '${lockMs}', false),
      set_config('idle_in_transaction_session_timeout', '${idleInTransactionMs}', false),
      set_config('synchronous_commit', CASE commits WHEN 'off' THEN 'on' ELSE commits END, false)
    FROM current_setting('synchronous_commit') AS commits`,
  );
}

/** Each migration in a transaction with its version; of several servers that start at once, one does it and the others wait. */
async function migrate(pool: pg.Pool, address: PostgresAddress): Promise<void> {
  const client = await pool.connect();
  try {
    for (;;) {
      await client.query("BEGIN");
      await client.query("SET LOCAL lock_timeout = 0");
      await client.query("SELECT pg_advisory_xact_lock($1, $2)", [lockSpace(address), locks.migration]);
      await makeSchema(client, address);
      const version = await versionOf(client, address);
      const migration = migrations[version];
      if (migration !== undefined) {
        await client.query(migration(postgresWords));
        await client.query("UPDATE rebootless_schema SET version = $1", [version + 1]);
      }
      await client.query("COMMIT");
      if (migration === undefined) return;
    }
  } finally {
    // Ended rather than kept: after an error there may be a transaction open.
    client.release(true);
  }
}

/** Not by IF NOT EXISTS, which asks for the right to make schemas also where it is there already. */
async function makeSchema(client: pg.PoolClient, { schema }: PostgresAddress): Promise<void> {
  if (schema === undefined) return;
  const { rows } = await client.query<{ there: boolean }>(
    "SELECT to_regnamespace(quote_ident($1)) IS NOT NULL AS there",
    [schema],
  );
  if (rows[0]?.there !== true) await client.query(`CREATE SCHEMA ${client.escapeIdentifier(schema)}`);
}

async function versionOf(client: pg.PoolClient, { shown }: PostgresAddress): Promise<number> {
  const { rows: found } = await client.query<{ ours: string | null; devices: string | null }>(
    "SELECT to_regclass('rebootless_schema') AS ours, to_regclass('devices') AS devices",
  );
  if (found[0]?.ours === null) {
    if (found[0].devices !== null) {
      throw new RebootlessError("server/state-damaged", `The database ${quoted(shown)} belongs to another program.`);
    }
    await client.query("CREATE TABLE rebootless_schema (version BIGINT NOT NULL)");
    await client.query("INSERT INTO rebootless_schema (version) VALUES (0)");
  }
  const { rows } = await client.query<{ version: number }>("SELECT version FROM rebootless_schema");
  const version = rows[0]?.version;
  if (rows.length !== 1 || version === undefined) {
    throw new RebootlessError("server/state-damaged", `The database ${quoted(shown)} has lost its version.`);
  }
  checkVersion(version, shown);
  return version;
}

function opened(error: unknown, { shown }: PostgresAddress): unknown {
  if (error instanceof RebootlessError) return error;
  const why = error instanceof Error ? error.message : String(error);
  if (isDatabaseAway(error)) {
    return new RebootlessError(
      "server/database-away",
      `The database ${quoted(shown)} does not answer (${why}); start it, or check its address.`,
      { cause: error },
    );
  }
  return new RebootlessError(
    "server/database-refused",
    `The database ${quoted(shown)} cannot be used: ${why}. It needs a role that may log in and own tables there, and a certificate that the address trusts.`,
    { cause: error },
  );
}

interface Locking {
  readonly database: Database;
  /** The first number of its advisory locks. */
  readonly space: number;
}

async function transaction<Result>(
  { database, space }: Locking,
  scope: ChangeScope,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  for (let tried = 1; ; tried++) {
    try {
      return await database
        .transaction()
        // Each statement sees what was there when the locks were got, and not what was there before.
        .setIsolationLevel("read committed")
        .execute(async (db) => {
          await lock(db, space, scope);
          return await work(db);
        });
    } catch (error) {
      if (!isUndone(error) || tried === tries) throw error;
      await delay(Math.random() * 20 * 2 ** tried);
    }
  }
}

/** The lock belongs to a transaction that does nothing else, so the cluster lets go of it when its server dies; one that hangs is ended as any. */
async function alone({ database, space }: Locking, work: () => Promise<void>): Promise<boolean> {
  return await database.transaction().execute(async (db) => {
    const { rows } = await sql<{
      got: boolean;
    }>`SELECT pg_try_advisory_xact_lock(${space}::int, ${locks.alone}::int) AS got`.execute(db);
    if (rows[0]?.got !== true) return false;
    await work();
    return true;
  });
}

/** Always in this order, the fleet before the device, and both before anything else; so nobody waits in a circle. */
async function lock(db: Database, space: number, scope: ChangeScope): Promise<void> {
  if (scope === "fleet") {
    await sql`SELECT pg_advisory_xact_lock(${space}::int, ${locks.fleet}::int)`.execute(db);
    return;
  }
  await sql`SELECT pg_advisory_xact_lock_shared(${space}::int, ${locks.fleet}::int)`.execute(db);
  await sql`SELECT 1 FROM devices WHERE id = ${scope.deviceId} FOR NO KEY UPDATE`.execute(db);
}

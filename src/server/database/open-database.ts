/** The server's database: a SQLite file of its own unless it is told of a PostgreSQL. */
import { postgresAddress } from "./postgres-address.ts";
import { openPostgresStore } from "./postgres-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { Store } from "./store.ts";

export interface DatabaseChoice {
  /** Used where there is no `address`. */
  readonly file: string;
  readonly address?: string | undefined;
  /** Whose the tables are, where one database has those of several. */
  readonly tenant?: string | undefined;
}

/** Throws as `openSqliteStore` or `openPostgresStore` does. */
export async function openDatabase({ file, address, tenant }: DatabaseChoice): Promise<Store> {
  if (address === undefined) return openSqliteStore(file);
  const schema = tenant === undefined ? {} : { schema: `tenant_${tenant}` };
  return await openPostgresStore({ ...postgresAddress(address), ...schema });
}

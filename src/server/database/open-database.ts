/** The server's database: a SQLite file of its own unless it is told of a PostgreSQL. */
import { postgresAddress } from "./postgres-address.ts";
import { openPostgresStore } from "./postgres-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { Store } from "./store.ts";

/** `file` is used where there is no `address`. Throws as `openSqliteStore` or `openPostgresStore` does. */
export async function openDatabase({ file, address }: { file: string; address?: string | undefined }): Promise<Store> {
  if (address === undefined) return openSqliteStore(file);
  return await openPostgresStore(postgresAddress(address));
}

/**
 * One at a time in a folder, across processes, with nothing to clear up after a crash.
 *
 * The lock is an exclusive transaction on an empty SQLite database, which is a lock of the kernel on an open file: it ends with the process that holds it, however that ends.
 */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";

const pollMs = 50;
/** SQLITE_BUSY: another process holds the lock. */
const busy = 5;

export interface LockOptions {
  /** How long to wait for another process, in milliseconds. */
  readonly waitMs: number;
}

/** Runs `work` while no other holder of the lock file `file` runs. Throws `repository/busy` when it waited in vain, and `failure/file-write`. */
export async function withLock<Result>(
  file: string,
  { waitMs }: LockOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const database = await acquire(file, waitMs);
  try {
    return await work();
  } finally {
    database.close();
  }
}

async function acquire(file: string, waitMs: number): Promise<DatabaseSync> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(file);
      database.exec("BEGIN EXCLUSIVE");
      return database;
    } catch (error) {
      database?.close();
      if (!(error instanceof Error && "errcode" in error && error.errcode === busy)) {
        throw new RebootlessError("failure/file-write", `The lock ${quoted(file)} cannot be taken.`, { cause: error });
      }
    }
    if (performance.now() >= deadline) {
      throw new RebootlessError(
        "repository/busy",
        `Another command is at work there and holds ${quoted(file)}; try again when it is done.`,
        { details: { file } },
      );
    }
    await delay(pollMs);
  }
}

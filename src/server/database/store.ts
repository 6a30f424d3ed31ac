/**
 * What the two databases do each in its own way: transactions, and word to other servers.
 *
 * Everything else is the same SQL, asked through `database`.
 */
import type { Signals } from "../signals.ts";
import type { Database } from "./tables.ts";

/**
 * What a change keeps others away from while it is under way.
 *
 * `fleet`: every other change, so that it may read and write anything.
 * A device: changes of the same device, and those of the whole fleet; it may read anything, and write rows of that device alone.
 */
export type ChangeScope = "fleet" | { readonly deviceId: string };

export interface Store {
  readonly kind: "sqlite" | "postgres";
  /** For reading, and for single statements that need no lock. */
  readonly database: Database;
  /**
   * Runs `work` in one transaction, which is on the disk when this answers.
   * `work` may run several times, where the database asks for it; what an earlier run did is undone then.
   */
  transaction<Result>(scope: ChangeScope, work: (db: Database) => Promise<Result>): Promise<Result>;
  /** Runs `work` while no other server of this database runs any in this way; where one does, nothing is run, and the answer is false. */
  alone(work: () => Promise<void>): Promise<boolean>;
  /** Sends these signals to other servers if and when the transaction comes to stay. */
  announce(db: Database, names: readonly string[]): Promise<void>;
  /** Passes on what other servers announce, from now on and until `close`. */
  listen(signals: Signals): Promise<void>;
  close(): Promise<void>;
}

/**
 * Changes that wait for the database together are committed together: one write to the disk for all of them.
 *
 * Invariant: a change is answered once the commit that it is part of has ended, and none that failed leaves anything; where the commit fails, all of its changes do.
 */
import { sql } from "kysely";
import type { Database } from "./tables.ts";

/** Changes of one commit: those who only read wait for as long as it lasts. */
const mostTogether = 64;

type Work<Result> = (db: Database) => Promise<Result>;

interface Waiting {
  readonly work: Work<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = { readonly result: unknown } | { readonly error: unknown };

export class CommitGroup {
  readonly #database: Database;
  readonly #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Runs `work` in a transaction, after those that were asked for before. */
  run<Result>(work: Work<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as Waiting["resolve"], reject });
      if (!this.#isRunning) void this.#runAll();
    });
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) await this.#runGroup(this.#waiting.splice(0, mostTogether));
    this.#isRunning = false;
  }

  async #runGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const [first] = group;
      if (group.length === 1 && first !== undefined) {
        first.resolve(await this.#database.transaction().execute(first.work));
        return;
      }
      const outcomes = await this.#database.transaction().execute(async (db) => await outcomesOf(db, group));
      for (const [index, { resolve, reject }] of group.entries()) {
        const outcome = outcomes[index] as Outcome;
        if ("error" in outcome) reject(outcome.error);
        else resolve(outcome.result);
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}

/** Throws where the database has given up the whole transaction, as on a full disk. */
async function outcomesOf(db: Database, group: readonly Waiting[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { work } of group) {
    await sql`SAVEPOINT change`.execute(db);
    try {
      outcomes.push({ result: await work(db) });
    } catch (error) {
      await sql`ROLLBACK TO change`.execute(db).catch(() => {
        // There is no transaction any more, and this is why.
        throw error;
      });
      outcomes.push({ error });
    }
    await sql`RELEASE change`.execute(db);
  }
  return outcomes;
}

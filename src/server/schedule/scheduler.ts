/**
 * The tick: asks each task what is due, and has it done, piece by piece.
 *
 * One server at a time does so; another one goes on at once where it dies, since the database lets go of its lock.
 * That is for thrift alone: what keeps a piece from being done twice is its transaction.
 */
import { everything } from "../access/reach.ts";
import { actingAs, change, type ServerContext } from "../context.ts";
import { isDatabaseAway } from "../database/postgres-errors.ts";
import type { ScheduledTask } from "./task.ts";

/** A decision that waits for its time is late by this at most, in milliseconds. */
export const tickMs = 1_000;

/** Told of what went wrong; the tick goes on with the next piece, and this one is tried again at the next tick. */
export type OnFault = (thrown: unknown, task: string, piece: string) => void;

export class Scheduler {
  readonly #context: ServerContext;
  readonly #tasks: readonly ScheduledTask[];
  readonly #onFault: OnFault;
  #underWay: Promise<void> | undefined;
  #closed = false;

  constructor(context: ServerContext, tasks: readonly ScheduledTask[], onFault: OnFault) {
    this.#context = actingAs(context, { kind: "scheduler" }, everything);
    this.#tasks = tasks;
    this.#onFault = onFault;
  }

  get busy(): boolean {
    return this.#underWay !== undefined;
  }

  /** Does what is due now, behind a tick that is under way. */
  async tick(): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay;
    if (this.#closed) return;
    this.#underWay = this.#run().finally(() => {
      this.#underWay = undefined;
    });
    await this.#underWay;
  }

  /** Ends behind the piece that is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#underWay;
  }

  async #run(): Promise<void> {
    try {
      await this.#context.store.alone(async () => {
        for (const task of this.#tasks) await this.#runTask(task);
        this.#context.metrics.tickDone();
      });
    } catch (thrown) {
      // What is due stays due; who asks for something is told by the answer to his request.
      if (!isDatabaseAway(thrown)) this.#onFault(thrown, "tick", "");
    }
  }

  async #runTask(task: ScheduledTask): Promise<void> {
    const context = this.#context;
    for (const piece of await task.due(context, context.clock().getTime())) {
      if (this.#closed) return;
      try {
        await change(context, (under) => task.work(under, context, piece));
      } catch (thrown) {
        if (isDatabaseAway(thrown)) throw thrown;
        this.#context.metrics.taskFailed(task.name);
        // One piece that cannot be done must not keep the others from being done.
        this.#onFault(thrown, task.name, piece);
      }
    }
  }
}

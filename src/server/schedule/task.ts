/**
 * What happens because time passed: a part of the server registers a task, and the one scheduler does what is due.
 *
 * Invariant: a piece of work is one transaction that finds out for itself whether it is still to be done.
 * So a server that dies in the middle loses nothing, and a piece that two servers take up is done once.
 */
import type { Change, ServerContext } from "../context.ts";

export interface ScheduledTask {
  /** For the log. */
  readonly name: string;
  /**
   * The pieces that are due, as far as can be seen before their transactions; an empty list where there is nothing to do.
   * Asked at each tick, so it has to be one indexed query, and it may answer some of many: the rest comes with the next tick.
   */
  due(context: ServerContext, nowMs: number): Promise<readonly string[]>;
  /** Does one piece; `under.now` is the instant that counts. Doing it again has to change nothing. */
  work(under: Change, context: ServerContext, piece: string): Promise<void>;
}

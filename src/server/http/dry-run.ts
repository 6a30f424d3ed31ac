/**
 * Dry runs: a change is made in a transaction, looked at, and undone with it.
 *
 * Invariant: whatever the change would be refused with, the dry run is refused with, since it is the same work on the same rows.
 */
import { isForPeople, type RouteSpec } from "../../api/routes/route-spec.ts";
import { type Asked, type RouteName, routes } from "../../api/routes.ts";
import { type DryRun, dryRunEvents } from "../../api/schemas/dry-run.ts";
import { RebootlessError } from "../../base/errors.ts";
import { RefusalError, refuse } from "../../base/refusal.ts";
import { change, type ServerContext } from "../context.ts";
import type { NewEvent } from "../events/append-events.ts";
import type { Caller } from "./handler.ts";
import { hotpatchNamed } from "./idempotency.ts";

export function isTriable(name: RouteName): boolean {
  const spec: RouteSpec = routes[name];
  return isForPeople(spec) && spec.method !== "GET" && spec.untriable !== true;
}

/** A boolean of structured fields (RFC 8941 section 3.3.6). Throws `request/invalid`, also for a route that cannot be tried. */
export function wantsDryRun(name: RouteName, header: string | string[] | undefined): boolean {
  if (header === undefined || header === "?0") return false;
  if (header !== "?1") throw new RebootlessError("request/invalid", "The header Dry-Run is ?1, or ?0.");
  const spec: RouteSpec = routes[name];
  if (isTriable(name)) return true;
  // What only reads is its own dry run.
  if (spec.method === "GET" && isForPeople(spec)) return false;
  throw new RebootlessError("request/invalid", "This cannot be tried out: what it does cannot be undone.");
}

/** Undoes the transaction. */
class Undone extends Error {
  readonly answer: unknown;
  readonly events: readonly NewEvent[];

  constructor(answer: unknown, events: readonly NewEvent[]) {
    super("A dry run ends.");
    this.answer = answer;
    this.events = events;
  }
}

export interface Trial {
  readonly handler: (context: ServerContext, asked: Asked<RouteName>, caller: Caller) => Promise<unknown>;
  readonly asked: Asked<RouteName>;
  readonly caller: Caller;
}

/** What the handler would do. Refuses and throws as it does. */
export async function tryOut(outer: ServerContext, { handler, asked, caller }: Trial): Promise<DryRun> {
  // Before the transaction, since that waits for nobody. Without its catalog nobody loses more than what needs one.
  const catalog = await outer.catalog?.asRead(hotpatchNamed(asked)).catch(() => undefined);
  const { principal, gone, ifMatch } = caller;
  const trying: Caller = { principal, gone, renewed: () => undefined, ...(ifMatch === undefined ? {} : { ifMatch }) };
  try {
    return await change(outer, async (under): Promise<never> => {
      const inner = { ...outer, catalog: catalog ?? outer.catalog, database: under.db, under };
      const answer = await handler(inner, asked, trying).catch(untilConfirmed);
      throw new Undone(answer, under.events);
    });
  } catch (thrown) {
    if (!(thrown instanceof Undone)) throw thrown;
    const { answer, events } = thrown;
    return {
      ...(answer === undefined ? {} : { answer }),
      events: events.slice(0, dryRunEvents).map(({ kind, subject, data = {} }) => ({ kind, subject, data })),
      eventCount: events.length,
    };
  }
}

/** The request that waits for a second person is undone as well, so nobody is sent to it. */
function untilConfirmed(thrown: unknown): never {
  const isWaiting = thrown instanceof RefusalError && thrown.refusals.some(({ code }) => code === "approval/waiting");
  if (!isWaiting) throw thrown;
  return refuse("approval/waiting", "A second person would have to confirm this; nothing was asked for.");
}

/**
 * Holds handlers to four eyes: what concerns a guarded group or policy becomes a request, and a confirmation runs the same handler.
 *
 * Invariant: whether a second person is needed is found out in the transaction of the change itself, and a confirmation and what it confirms are one transaction.
 */
import { type Asked, type RouteName, routes } from "../../api/routes.ts";
import type { ApprovalRequest } from "../../api/schemas/four-eyes.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { requireNamedInReach } from "../access/named.ts";
import { grantsFor, type Person } from "../access/principal.ts";
import { type Reach, reachOf } from "../access/reach.ts";
import { type Change, change, type ServerContext } from "../context.ts";
import { settleConfirmed } from "../four-eyes/confirmed.ts";
import { guarded, guardedDevices, isConcerned, slipsOut } from "../four-eyes/guarded.ts";
import { type Operation, operations } from "../four-eyes/operations.ts";
import {
  decideRequest,
  digestOf,
  makeRequest,
  type RequestRow,
  refuseUnlessWaiting,
  requesterOf,
  requireRequest,
  requireSecondPerson,
} from "../four-eyes/requests.ts";
import { type Caller, personOf } from "./handler.ts";

type AnyHandler = (context: ServerContext, asked: never, caller: Caller) => Promise<unknown>;

/** Undoes the transaction in which a change was tried that needs a second person. */
class NeedsSecondPerson extends Error {}

interface Attempt {
  readonly name: RouteName;
  readonly operation: Operation<RouteName>;
  readonly handler: AnyHandler;
  readonly asked: Asked<RouteName>;
}

/** The same handlers; those of guarded operations refuse with `approval/waiting` where a second person has to confirm. */
export function withFourEyes<Table extends Partial<Record<RouteName, unknown>>>(handlers: Table): Table {
  const entries = Object.entries(handlers).map(([key, given]) => {
    const name = key as RouteName;
    const handler = given as AnyHandler;
    const operation = operations[name] as Operation<RouteName> | undefined;
    if (operation === undefined) return [name, handler];
    const held = (context: ServerContext, asked: Asked<RouteName>, caller: Caller) =>
      attempt(context, { name, operation, handler, asked }, caller);
    return [name, held];
  });
  return Object.fromEntries(entries);
}

/** A context whose changes are part of one that is under way. The catalog is as it was read before, since a transaction waits for nobody. */
async function readBefore(
  context: ServerContext,
  operation: Operation<RouteName>,
  asked: { readonly params?: unknown; readonly body?: unknown },
): Promise<ServerContext> {
  if (operation.catalog !== true || context.catalog === undefined) return context;
  const { hotpatchId } = { ...(asked.params as object), ...(asked.body as object) } as { hotpatchId?: string };
  return { ...context, catalog: await context.catalog.asRead(hotpatchId) };
}

async function attempt(outer: ServerContext, tried: Attempt, caller: Caller): Promise<unknown> {
  const context = await readBefore(outer, tried.operation, tried.asked);
  try {
    return await change(context, async (under) => {
      const { db } = under;
      const where = await guarded(db);
      const concern = where && (await tried.operation.concern(db, tried.asked));
      const inner: ServerContext = { ...context, database: db, under };
      if (where !== undefined && concern !== undefined && concern !== "membership") {
        if (await isConcerned(db, where, concern)) throw new NeedsSecondPerson();
      }
      const { deviceId } = (tried.asked.params ?? {}) as { deviceId?: string };
      const one = deviceId === undefined ? {} : { deviceId };
      const isMembership = where !== undefined && concern === "membership";
      const devices = isMembership ? await guardedDevices(db, where, deviceId) : new Set<string>();
      const answer = await tried.handler(inner, tried.asked as never, caller);
      if (isMembership && (await slipsOut(db, { before: where, devices, ...one }))) throw new NeedsSecondPerson();
      if (where !== undefined) {
        await settleConfirmed(under, context.random, { events: under.events, isConfirmed: false });
      }
      return answer;
    });
  } catch (thrown) {
    if (!(thrown instanceof NeedsSecondPerson)) throw thrown;
  }
  return await wait(context, tried, personOf(caller));
}

/** Refuses with `approval/waiting`, once the request is kept; with `approval/person-unproven` and `approval/reason-missing` before. */
async function wait(context: ServerContext, { name, operation, asked }: Attempt, person: Person): Promise<never> {
  if (person.id === undefined) {
    refuse(
      "approval/person-unproven",
      "This takes two persons, and the local socket proves none; sign in at the server, and ask there.",
    );
  }
  const spec = routes[name];
  const takesReason = "body" in spec && "reason" in ((spec.body as { properties?: object }).properties ?? {});
  if (takesReason && ((asked.body as { reason?: string } | undefined)?.reason ?? "").trim() === "") {
    refuse("approval/reason-missing", "A second person has to confirm this; say why it is to be done, by its reason.");
  }
  const { id, expires_at } = await change(context, async (under) => {
    const content = { operation: name, asked: { ...asked }, standing: await operation.standing(under.db, asked) };
    return await makeRequest(under, context.random, content);
  });
  const expiresAt = new Date(expires_at).toISOString();
  refuse(
    "approval/waiting",
    `This waits for a second person, who confirms it by \`rebootless approval confirm ${id}\` until ${expiresAt}.`,
    { requestId: id, expiresAt },
  );
}

export interface Confirmed {
  readonly requestId: string;
  readonly digest: string;
  readonly reason: string;
  readonly handlers: Partial<Record<RouteName, unknown>>;
}

/**
 * Does what another person asked for, if it is still what he asked.
 * Refuses with `approval/not-waiting`, `approval/content-changed`, `approval/same-person`, `approval/person-unproven`, `approval/requester-gone`, and with what the operation itself is refused with.
 */
export async function confirmRequest(
  outer: ServerContext,
  { requestId, digest, reason, handlers }: Confirmed,
  caller: Caller,
): Promise<ApprovalRequest> {
  const person = personOf(caller);
  const known = await requireRequest(outer.database, requestId);
  const name = known.operation as RouteName;
  const operation = operations[name] as Operation<RouteName> | undefined;
  const handler = handlers[name] as AnyHandler | undefined;
  if (operation === undefined || handler === undefined) {
    throw new RebootlessError("bug/invariant", "A request is for an operation that cannot be requested.");
  }
  const context = await readBefore(outer, operation, JSON.parse(known.asked_json));
  return await change(context, async (under) => {
    const row = await requireRequest(under.db, requestId);
    refuseUnlessWaiting(row, under.now);
    await requireSecondPerson(under.db, row, person);
    const asked = JSON.parse(row.asked_json);
    const standing = await operation.standing(under.db, asked);
    if (digest !== row.digest || digestOf({ operation: name, asked, standing }) !== row.digest) {
      const message = "What this request is about has changed since; look at it, and have it asked for anew.";
      refuse("approval/content-changed", message);
    }
    await requireMay(under.db, { name, person, asked });
    const { requester, reach } = await requesterWithReach(under, row, { name, asked });
    const inner: ServerContext = { ...context, database: under.db, under, reach };
    await handler(inner, asked as never, { principal: requester, gone: caller.gone, renewed: () => undefined });
    const decided = await decideRequest(under, row, { state: "confirmed", reason });
    await settleConfirmed(under, context.random, { events: under.events, isConfirmed: true });
    return decided;
  });
}

interface May {
  readonly name: RouteName;
  readonly person: Person;
  readonly asked: unknown;
}

/** Refuses as the door of the operation does, where he may not do it himself. */
async function requireMay(db: Change["db"], { name, person, asked }: May): Promise<Reach> {
  const spec = routes[name];
  if (spec.caller !== "person") throw new RebootlessError("bug/invariant", "A request is for a route of nobody.");
  const reach = await reachOf(db, grantsFor(person, spec));
  await requireNamedInReach(db, reach, asked);
  return reach;
}

/** Whoever asked has to be allowed it still. */
async function requesterWithReach(under: Change, row: RequestRow, { name, asked }: Omit<May, "person">) {
  const requester = await requesterOf(under.db, row);
  return { requester, reach: await requireMay(under.db, { name, person: requester, asked }) };
}

/** What every part of the server works with, and the one way to change the database. */
import { randomBytes } from "node:crypto";
import type { By } from "../api/schemas/access.ts";
import type { EventKind } from "../api/schemas/events.ts";
import type { Reach } from "./access/reach.ts";
import type { Authority } from "./authority/authority.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { ChangeScope, Store } from "./database/store.ts";
import type { Database } from "./database/tables.ts";
import { keepDeviceStates } from "./device-states/keep-states.ts";
import { appendEvents, type NewEvent } from "./events/append-events.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { OidcProvider } from "./sign-in/oidc-provider.ts";
import type { Signals } from "./signals.ts";

export interface ServerContext {
  /** For reading; what is written goes through `change`. */
  readonly database: Database;
  readonly store: Store;
  readonly authority: Authority;
  /** Absent where the server was told of no catalog. */
  readonly catalog: Catalog | undefined;
  /** The public keys of the authors whose hotpatches agents are to trust. */
  readonly trustFolder: string;
  readonly signals: Signals;
  readonly metrics: Metrics;
  /** The present. */
  readonly clock: () => Date;
  readonly random: (bytes: number) => Buffer;
  /** Absent where the server was told of none. */
  readonly oidc: OidcProvider | undefined;
  /** Whether webhooks may go to addresses that are not of the public Internet. */
  readonly webhooks: { readonly allowPrivate: boolean };
  /** The product's version, for the OpenAPI document. */
  readonly version: string;
  /** Where people reach the server, such as `https://127.0.0.1:8443`; known once it listens. */
  address: string;
  /** The names and addresses that are the server's own, as its certificate has them. */
  readonly names: readonly string[];
  /** Who acts: the server itself, unless `actingAs` made another context of it. Every event says it. */
  readonly by: By;
  /** The devices and groups that whoever acts may see and change by the role that let him in. */
  readonly reach: Reach;
  /** A change under way that every other one is to be part of; `database` is its transaction then. */
  readonly under?: Change;
}

/** The same server, for somebody who asks it. */
export function actingAs(context: ServerContext, by: By, reach: Reach): ServerContext {
  return { ...context, by, reach };
}

/** A change under way: the transaction, its instant, and what it leaves behind. */
export interface Change {
  readonly db: Database;
  readonly now: number;
  /** Who acts; a sign-in learns it on its way. */
  by: By;
  /** What was noted so far. */
  readonly events: readonly NewEvent[];
  /** Records an event in the same transaction; it is numbered and written at its end. */
  note(kind: EventKind, subject: string, data?: Record<string, unknown>): Promise<void>;
  /** Tells the agents of devices, once the change has come to stay, that they have something else to do. */
  reassign(...deviceIds: readonly string[]): Promise<void>;
  /** Says of which devices something changed that their states follow from; they are worked out anew at the end of the transaction. */
  touch(...deviceIds: readonly string[]): void;
}

/**
 * Runs `work` in one transaction; what it notes is there if and only if its change is, and those who wait for it wake afterwards, on every server.
 *
 * By itself a change is alone in the fleet: it may read and write anything.
 * What many devices do at one time says with `scope` that it writes rows of one device only, and runs beside those of other devices.
 * `work` may run again where the database undid it, so it must do nothing that is not undone with its transaction.
 */
export async function change<Result>(
  context: Pick<ServerContext, "store" | "clock" | "signals" | "by" | "under">,
  work: (change: Change) => Promise<Result>,
  scope: ChangeScope = "fleet",
): Promise<Result> {
  if (context.under !== undefined) return await work(context.under);
  const { store, signals } = context;
  const now = context.clock().getTime();
  const { result, awake } = await store.transaction(scope, async (db) => {
    const under = new ChangeUnderWay(db, now, context.by);
    const result = await work(under);
    await keepDeviceStates(db, now, [...under.touched]);
    // Last, since events are numbered one transaction after the other.
    await appendEvents(db, { at: now, by: under.by }, under.events);
    await store.announce(db, [...under.awake]);
    return { result, awake: under.awake };
  });
  for (const name of awake) signals.send(name);
  return result;
}

/** Devices of one statement. */
const devicesAtOnce = 1_000;

class ChangeUnderWay implements Change {
  readonly db: Database;
  readonly now: number;
  by: By;
  readonly events: NewEvent[] = [];
  /** The names of the signals to send. */
  readonly awake = new Set<string>();
  readonly touched = new Set<string>();

  constructor(db: Database, now: number, by: By) {
    this.db = db;
    this.now = now;
    this.by = by;
  }

  readonly note: Change["note"] = async (kind, subject, data = {}) => {
    this.events.push({ kind, subject, data });
    this.awake.add("events");
  };

  readonly touch: Change["touch"] = (...deviceIds) => {
    for (const deviceId of deviceIds) this.touched.add(deviceId);
  };

  readonly reassign: Change["reassign"] = async (...deviceIds) => {
    const asleep = [...new Set(deviceIds)].filter((deviceId) => !this.awake.has(deviceId));
    for (let from = 0; from < asleep.length; from += devicesAtOnce) {
      await this.db
        .updateTable("devices")
        .set((column) => ({ assignment_revision: column("assignment_revision", "+", 1) }))
        .where("id", "in", asleep.slice(from, from + devicesAtOnce))
        .execute();
    }
    for (const deviceId of asleep) this.awake.add(deviceId);
  };
}

/** A version 4 UUID (RFC 9562 section 5.4). */
export function newId(random: (bytes: number) => Buffer): string {
  const bytes = random(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export const systemClock = (): Date => new Date();
export const systemRandom = (bytes: number): Buffer => randomBytes(bytes);

export function instant(ms: number): string {
  return new Date(ms).toISOString();
}

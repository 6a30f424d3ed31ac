/** What every part of the server works with, and the one way to change the database. */
import { randomBytes } from "node:crypto";
import type { EventKind } from "../api/schemas/events.ts";
import type { Authority } from "./authority/authority.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { Database } from "./database/tables.ts";
import type { Signals } from "./signals.ts";

export interface ServerContext {
  readonly database: Database;
  readonly authority: Authority;
  /** Absent where the server was told of no catalog. */
  readonly catalog: Catalog | undefined;
  /** The public keys of the authors whose hotpatches agents are to trust. */
  readonly trustFolder: string;
  readonly signals: Signals;
  /** The present. */
  readonly clock: () => Date;
  readonly random: (bytes: number) => Buffer;
  /** The product's version, for the OpenAPI document. */
  readonly version: string;
  /** Where people reach the server, such as `https://127.0.0.1:8443`; known once it listens. */
  address: string;
  /** The names and addresses that are the server's own, as its certificate has them. */
  readonly names: readonly string[];
}

/** Who asks. */
export type Principal =
  | { readonly kind: "nobody" }
  | { readonly kind: "agent"; readonly deviceId: string }
  /** `session` is the digest of the session's secret; absent on the local socket. */
  | { readonly kind: "administrator"; readonly name: string; readonly session?: Buffer; readonly expiresAt?: number };

/** A change under way: the transaction, its instant, and what it leaves behind. */
export interface Change {
  readonly db: Database;
  readonly now: number;
  /** Records an event in the same transaction. */
  note(kind: EventKind, subject: string, data?: Record<string, unknown>): Promise<void>;
  /** Tells the agent of a device, once the change has come to stay, that it has something else to do. */
  reassign(deviceId: string): Promise<void>;
}

/** Runs `work` in one transaction; what it notes is there if and only if its change is, and those who wait for it wake afterwards. */
export async function change<Result>(
  context: Pick<ServerContext, "database" | "clock" | "signals">,
  work: (change: Change) => Promise<Result>,
): Promise<Result> {
  const now = context.clock().getTime();
  const awake = new Set<string>();
  const result = await context.database.transaction().execute(async (db) => {
    return await work({
      db,
      now,
      async note(kind, subject, data = {}) {
        await db
          .insertInto("events")
          .values({ at: now, kind, subject, data_json: JSON.stringify(data) })
          .execute();
        awake.add("events");
      },
      async reassign(deviceId) {
        if (awake.has(deviceId)) return;
        await db
          .updateTable("devices")
          .set((column) => ({ assignment_revision: column("assignment_revision", "+", 1) }))
          .where("id", "=", deviceId)
          .execute();
        awake.add(deviceId);
      },
    });
  });
  for (const name of awake) context.signals.send(name);
  return result;
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

/**
 * Signals of other servers, through LISTEN on a connection of its own.
 *
 * What is announced while the connection is broken is lost; so whenever it stands again everybody who waits is woken, and looks at the database.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Signals } from "../signals.ts";
import type { PostgresAddress } from "./postgres-address.ts";

/** A name of at most 63 bytes; channels belong to a database, so each tenant has its own. */
export function channelOf({ schema }: PostgresAddress): string {
  return schema === undefined ? "rebootless" : `rebootless_${schema}`;
}

/** How often the connection is tried when nothing comes, so that one that broke unseen is noticed; and how long an answer may take. */
const heartbeatMs = 10_000;
const answerMs = 5_000;
const again = { firstMs: 100, lastMs: 2_000 } as const;

export class PostgresListener {
  readonly #address: PostgresAddress;
  readonly #signals: Signals;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(address: PostgresAddress, signals: Signals) {
    this.#address = address;
    this.#signals = signals;
  }

  /** Ready once the first connection listens; throws as `pg` does when it cannot be made. */
  async start(): Promise<void> {
    const client = await this.#connect();
    this.#running = this.#goOn(client);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      ...this.#address.config,
      connectionTimeoutMillis: answerMs,
      query_timeout: answerMs,
      keepAlive: true,
      application_name: "rebootless listener",
    });
    // Noticed by the heartbeat, which is cut short by `end`.
    client.on("error", () => undefined);
    client.on("notification", ({ payload = "" }) => {
      for (const name of payload.split(" ")) this.#signals.send(name);
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${client.escapeIdentifier(channelOf(this.#address))}`);
      return client;
    } catch (error) {
      await end(client);
      throw error;
    }
  }

  async #goOn(first: pg.Client): Promise<void> {
    let client: pg.Client | undefined = first;
    let waitMs: number = again.firstMs;
    while (!this.#closing.signal.aborted) {
      if (client !== undefined) {
        waitMs = again.firstMs;
        await this.#untilBroken(client);
      }
      client = await this.#again(waitMs);
      waitMs = Math.min(waitMs * 2, again.lastMs);
    }
    if (client !== undefined) await end(client);
  }

  /** Undefined where it did not come to be, which the next try may. */
  async #again(waitMs: number): Promise<pg.Client | undefined> {
    const { signal } = this.#closing;
    try {
      await delay(waitMs, undefined, { signal });
      const client = await this.#connect();
      this.#signals.sendAll();
      return client;
    } catch {
      // The requests of this server say what is wrong with the database.
      return undefined;
    }
  }

  async #untilBroken(client: pg.Client): Promise<void> {
    const { signal } = this.#closing;
    const gone = once(client, "end", { signal }).then(
      () => "gone" as const,
      () => "closing" as const,
    );
    try {
      for (;;) {
        const passed = await Promise.race([gone, delay(heartbeatMs, "beat" as const, { signal, ref: false })]);
        if (passed !== "beat") break;
        await client.query("SELECT 1");
      }
    } catch {
      // No answer in time, or we are closing.
    }
    await end(client);
  }
}

async function end(client: pg.Client): Promise<void> {
  // A connection that is broken may be unable to say goodbye.
  await Promise.race([client.end().catch(() => undefined), delay(1_000, undefined, { ref: false })]);
}

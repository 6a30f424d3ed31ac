/** Three servers as processes on one PostgreSQL, killed at random and started again. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Shop } from "../../repository/support/shop.ts";

const main = path.resolve(import.meta.dirname, "../../../src/cli/main.ts");

export interface Place {
  readonly folder: string;
  /** The address of the database. */
  readonly database: string;
  readonly authorityFolder: string;
  readonly shop: Shop;
}

export class StormServer {
  readonly state: string;
  readonly #place: Place;
  #child: ChildProcess | undefined;
  #port = "0";
  address = "";
  isUp = false;

  constructor(place: Place, name: string) {
    this.#place = place;
    this.state = path.join(place.folder, name);
  }

  async start(): Promise<void> {
    const { shop, database, authorityFolder } = this.#place;
    const root = path.join(shop.repository.metadataFolder, "1.root.json");
    const catalog = ["--catalog", shop.repository.publicFolder, "--catalog-root", root];
    const words = ["server", "run", "--state", this.state, "--port", this.#port, "--authority", authorityFolder];
    const child = spawn(process.execPath, [main, ...words, ...catalog], {
      env: { ...process.env, REBOOTLESS_DATABASE: database },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString("utf8");
        const address = /Listening on (https:\S+),/.exec(said)?.[1];
        if (address === undefined) return;
        this.address = address;
        // The port that it has once it keeps, so that agents find it again.
        this.#port = new URL(address).port;
        resolve();
      });
      child.once("exit", () => reject(new Error(`the server ended: ${said}`)));
    });
    this.isUp = true;
  }

  async kill(): Promise<void> {
    this.isUp = false;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
}

export function pick<Item>(items: readonly Item[]): Item {
  const item = items[Math.floor(Math.random() * items.length)];
  assert.ok(item !== undefined, "there is something to pick from");
  return item;
}

/** Kills one after the other until the signal, one of them always left alone; answers how many it killed. */
export async function killAtRandom(servers: readonly StormServer[], signal: AbortSignal): Promise<number> {
  let killed = 0;
  const restarting = new Set<Promise<void>>();
  while (!signal.aborted) {
    await delay(300 + Math.random() * 2_000);
    const up = servers.filter(({ isUp }) => isUp);
    if (up.length < 2 || signal.aborted) continue;
    const victim = pick(up);
    await victim.kill();
    killed += 1;
    const restart = delay(Math.random() * 500)
      .then(() => victim.start())
      .finally(() => restarting.delete(restart));
    restarting.add(restart);
    // A start that fails must end the test, and not the process.
    restart.catch(() => undefined);
  }
  await Promise.all(restarting);
  for (const server of servers) if (!server.isUp) await server.start();
  return killed;
}

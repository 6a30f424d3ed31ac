/** Three servers as processes on one PostgreSQL, killed at random and started again. */
import assert from "node:assert/strict";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Shop } from "../../repository/support/shop.ts";
import { ServerProcess } from "../support/server-process.ts";

export interface Place {
  readonly folder: string;
  /** The address of the database. */
  readonly database: string;
  readonly authorityFolder: string;
  readonly shop: Shop;
}

export class StormServer extends ServerProcess {
  constructor({ folder, shop, database, authorityFolder }: Place, name: string) {
    super(path.join(folder, name), { shop, database, words: ["--authority", authorityFolder] });
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
    await victim.end("SIGKILL");
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

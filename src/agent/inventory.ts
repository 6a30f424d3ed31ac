/** The Node.js processes of this machine as facts tell of them; each is described once, and again when it may have changed. */
import { readFileSync } from "node:fs";
import { RebootlessError } from "../base/errors.ts";
import { RefusalError } from "../base/refusal.ts";
import { describeProcess } from "../engine/process-inventory.ts";
import type { ToldProcess } from "./facts.ts";
import type { SeenProcess } from "./process-scanner.ts";

const againMs = 300_000;
/** USER_HZ, in which proc(5) counts, is 100 on every architecture that Node runs on. */
const msPerTick = 10;

export class Inventory {
  #described = new Map<string, { told: ToldProcess; atMs: number }>();
  #changes = 0;

  /** What a hotpatch in a process changes is told the next time. */
  invalidate(): void {
    this.#changes += 1;
    this.#described.clear();
  }

  async of(seen: readonly SeenProcess[]): Promise<ToldProcess[]> {
    const now = performance.now();
    const changes = this.#changes;
    const described = new Map<string, { told: ToldProcess; atMs: number }>();
    for (const process of seen) {
      const known = this.#described.get(process.key);
      const entry = known !== undefined && now - known.atMs < againMs ? known : await describe(process, now);
      if (entry !== undefined) described.set(process.key, entry);
    }
    // Some were described before the change that came meanwhile.
    this.#described = changes === this.#changes ? described : new Map();
    return [...described.values()].map(({ told }) => told);
  }
}

async function describe({ info, version }: SeenProcess, atMs: number) {
  try {
    return { told: { ...(await describeProcess(info, version)), startedAt: startOf(info.startTicks) }, atMs };
  } catch (error) {
    // It has ended meanwhile, or its agent does not answer: there is nothing to tell of it now.
    if (error instanceof RefusalError || error instanceof RebootlessError) return undefined;
    throw error;
  }
}

/** To the second, since the two clocks of the kernel are read one after the other. */
function startOf(startTicks: bigint): string {
  const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  const startMs = Date.now() - uptimeMs + Number(startTicks) * msPerTick;
  return new Date(Math.round(startMs / 1000) * 1000).toISOString();
}

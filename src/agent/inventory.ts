/** The processes of this machine as facts tell of them; each is described once, and again when it may have changed. */
import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { RebootlessError } from "../base/errors.ts";
import { RefusalError } from "../base/refusal.ts";
import { type DebianPackage, DebianPackages } from "../engine/linux/debian-packages.ts";
import { hotpatchesIn } from "../engine/linux/native-processes.ts";
import type { BinaryLooks, MappedBinary } from "../engine/linux/process-binaries.ts";
import { describeProcess } from "../engine/process-inventory.ts";
import { readProcText } from "../process/proc-file.ts";
import { containerOf } from "./container.ts";
import type { ToldBinary, ToldProcess, ToldProgram } from "./facts.ts";
import type { SeenProcess } from "./process-scanner.ts";

const againMs = 300_000;
/** What runs is told of for so long after its last process, so that programs that come and go are no news each time. */
const recentMs = 600_000;
const cgroupBytes = 64 * 1024;
/** USER_HZ, in which proc(5) counts, is 100 on every architecture that Node runs on. */
const msPerTick = 10;

/** What was there not long ago, by key; the newest value of a key counts. */
class Recent<Value> {
  readonly #values = new Map<string, { value: Value; atMs: number }>();

  note(entries: readonly (readonly [key: string, value: Value])[]): Value[] {
    const now = performance.now();
    for (const [key, value] of entries) this.#values.set(key, { value, atMs: now });
    for (const [key, { atMs }] of this.#values) if (now - atMs > recentMs) this.#values.delete(key);
    return [...this.#values.values()].map(({ value }) => value);
  }
}

export class Inventory {
  readonly #looks: BinaryLooks;
  readonly #packages = new DebianPackages();
  #described = new Map<string, { told: ToldProcess; atMs: number }>();
  readonly #binaries = new Recent<ToldBinary>();
  readonly #programs = new Recent<ToldProgram>();
  #changes = 0;

  constructor(looks: BinaryLooks) {
    this.#looks = looks;
  }

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
      const key = `${process.key} ${process.info.addressSpace}`;
      const known = this.#described.get(key);
      const entry = known !== undefined && now - known.atMs < againMs ? known : await this.#describe(process, now);
      if (entry !== undefined) described.set(key, entry);
    }
    // Some were described before the change that came meanwhile.
    this.#described = changes === this.#changes ? described : new Map();
    return [...described.values()].map(({ told }) => told);
  }

  /** The binaries that these processes have mapped, or had a while ago, by build-id. */
  binaries(processes: readonly ToldProcess[]): ToldBinary[] {
    return this.#binaries.note(
      processes.flatMap(({ binaries }) => binaries.map((binary) => [binary.buildId, binary] as const)),
    );
  }

  /** The programs that these processes run, or that ran a while ago, by path. */
  programs(processes: readonly ToldProcess[]): ToldProgram[] {
    return this.#programs.note(
      processes.flatMap(({ program, binaries }) => {
        if (program === undefined) return [];
        const buildId = binaries.find(({ path }) => path === program)?.buildId ?? "";
        return [[program, { path: program, buildId }] as const];
      }),
    );
  }

  async #describe(process: SeenProcess, atMs: number) {
    // Each costs a look at its memory, and the agent has other things to do meanwhile.
    await setImmediate();
    const { info, node } = process;
    try {
      const described = node === undefined ? undefined : await describeProcess(info, node);
      const mapped = this.#looks.of(info);
      const packages = this.#packages.of(info, mapped);
      const told: ToldProcess = {
        pid: info.pid,
        command: described?.command ?? info.commandLine.join(" ").slice(0, 200),
        ...(node === undefined ? {} : { node }),
        packages: described?.packages ?? [],
        hotpatches: [
          ...(described?.hotpatches ?? []),
          ...hotpatchesIn(info.pid).filter(({ state }) => state === "applied"),
        ],
        binaries: mapped.map((binary) => toldBinary(binary, packages.get(binary.path))),
        ...(info.executable === undefined ? {} : { program: info.executable.path }),
        // What was made in memory (memfd_create(2)) was never on the disk.
        outdated: mapped.filter(({ deleted, path }) => deleted && !path.startsWith("/memfd:")).map(({ path }) => path),
        ...containerOf(readProcText(`/proc/${info.pid}/cgroup`, cgroupBytes) ?? ""),
        startedAt: startOf(info.startTicks),
      };
      return { told, atMs };
    } catch (error) {
      // It has ended meanwhile, or its agent does not answer: there is nothing to tell of it now.
      if (error instanceof RefusalError || error instanceof RebootlessError) return undefined;
      throw error;
    }
  }
}

function toldBinary({ buildId, path }: MappedBinary, owner: DebianPackage | undefined): ToldBinary {
  return owner === undefined ? { buildId, path } : { buildId, path, owner };
}

/** To the second, since the two clocks of the kernel are read one after the other. */
function startOf(startTicks: bigint): string {
  const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  const startMs = Date.now() - uptimeMs + Number(startTicks) * msPerTick;
  return new Date(Math.round(startMs / 1000) * 1000).toISOString();
}

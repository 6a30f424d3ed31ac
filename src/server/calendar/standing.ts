/**
 * Where a machine stands with regard to a baseline, by the facts that it tells: pure.
 *
 * A baseline is for a machine whose `os.id`, `os.version` and `cpu.architecture` are those of its system.
 * The machine is on it when each package that the baseline names and that is installed (`packages`) has that version or a newer one, the kernel that runs (`kernel.release`) is that one or newer, and so is `os.build`; as far as the baseline names them.
 */
import type { Baseline } from "../../api/schemas/catalog.ts";
import { compareDebianVersions } from "../../cel/debian-version.ts";

/** What a device tells of these; undefined where it does not. */
export interface StandingFacts {
  readonly osId?: string | undefined;
  readonly osVersion?: string | undefined;
  readonly architecture?: string | undefined;
  readonly kernel?: string | undefined;
  readonly build?: string | undefined;
  /** A restart was asked for by what was installed. */
  readonly restartRequired?: boolean | undefined;
  /** The version of a package that is installed; undefined for the whole where it tells of no packages. */
  readonly packageVersion?: ((name: string) => string | undefined) | undefined;
}

export interface Standing {
  /** `restart`: everything is installed, and the old kernel still runs. */
  readonly kind: "elsewhere" | "unknown" | "current" | "restart" | "behind";
  /** What is missing, each a clause; of `unknown`, the names of facts. */
  readonly lacks: readonly string[];
}

/** The numbers that a kernel's release begins with: those of `6.1.0-26-amd64` are 6, 1, 0 and 26. */
function kernelNumbers(release: string): number[] {
  const parts = release.split(/[.-]/);
  const end = parts.findIndex((part) => !/^\d+$/.test(part));
  return (end < 0 ? parts : parts.slice(0, end)).map(Number);
}

/** Below zero where the left one is older, as far as the right one goes. */
function compareKernels(left: string, right: string): number {
  const [mine, wanted] = [kernelNumbers(left), kernelNumbers(right)];
  for (const [index, number] of wanted.entries()) {
    const difference = (mine[index] ?? 0) - number;
    if (difference !== 0) return difference;
  }
  return 0;
}

function systemOf(facts: StandingFacts, { system }: Pick<Baseline, "system">): Standing | undefined {
  const asked = [
    ["os.id", facts.osId, system.id],
    ["os.version", facts.osVersion, system.version],
    ["cpu.architecture", facts.architecture, system.architecture],
  ] as const;
  const named = asked.filter(([, , wanted]) => wanted !== null);
  if (named.some(([, told, wanted]) => told !== undefined && told !== wanted)) return { kind: "elsewhere", lacks: [] };
  const missing = named.flatMap(([name, told]) => (told === undefined ? [name] : []));
  return missing.length > 0 ? { kind: "unknown", lacks: missing } : undefined;
}

export function standingOn(facts: StandingFacts, baseline: Pick<Baseline, "system" | "requires">): Standing {
  const elsewhere = systemOf(facts, baseline);
  if (elsewhere !== undefined) return elsewhere;
  const { packages, kernel, build } = baseline.requires;
  const missing: string[] = [];
  if (Object.keys(packages).length > 0 && facts.packageVersion === undefined) missing.push("packages");
  if (kernel !== null && facts.kernel === undefined) missing.push("kernel.release");
  if (build !== null && facts.build === undefined) missing.push("os.build");
  if (missing.length > 0) return { kind: "unknown", lacks: missing };
  const lacks: string[] = [];
  for (const [name, wanted] of Object.entries(packages)) {
    const installed = facts.packageVersion?.(name);
    if (installed === undefined || compareDebianVersions(installed, wanted) >= 0) continue;
    lacks.push(`${name} ${wanted} (it has ${installed})`);
  }
  if (build !== null && facts.build !== undefined && compareDebianVersions(facts.build, build) < 0) {
    lacks.push(`build ${build} (it has ${facts.build})`);
  }
  const isOldKernel = kernel !== null && facts.kernel !== undefined && compareKernels(facts.kernel, kernel) < 0;
  if (!isOldKernel) return lacks.length === 0 ? { kind: "current", lacks } : { kind: "behind", lacks };
  const all = [...lacks, `kernel ${kernel} (${facts.kernel} runs)`];
  return { kind: lacks.length === 0 && facts.restartRequired === true ? "restart" : "behind", lacks: all };
}

/** Newest last: by month, by day within it, by id. */
export function inServicingOrder<Entry extends Pick<Baseline, "id" | "release">>(baselines: readonly Entry[]): Entry[] {
  const key = ({ id, release }: Entry) => [release.month ?? "", release.availableAt ?? "", id].join(" ");
  return baselines.toSorted((left, right) => (key(left) < key(right) ? -1 : 1));
}

export interface Place {
  /** The newest that the machine is on, and the newest that there is for it. */
  readonly on: Baseline | undefined;
  readonly newest: Baseline | undefined;
  readonly standing: Standing;
  /** The update that leaves the hotpatch track, where the machine is on no baseline behind it. */
  readonly offTrackBy: Baseline | undefined;
}

/** Where a machine stands among all baselines; previews count for those who asked for them. */
export function placeAmong(
  facts: StandingFacts,
  baselines: readonly Baseline[],
  { preview }: { readonly preview: boolean },
): Place {
  const standings = inServicingOrder(baselines).map((baseline) => ({
    baseline,
    standing: standingOn(facts, baseline),
  }));
  const own = standings.filter(({ standing }) => standing.kind !== "elsewhere");
  const current = own.filter(({ standing }) => standing.kind === "current").map(({ baseline }) => baseline);
  const [on, onTrack] = [current.at(-1), current.findLast(({ release }) => release.track === "keeps")];
  // Nobody is led to an update that leaves the track because it is the newest.
  const newest = own.findLast(
    ({ baseline: { release } }) => release.track === "keeps" && (preview || release.stage !== "preview"),
  );
  return {
    on: onTrack,
    newest: newest?.baseline,
    standing: newest?.standing ?? { kind: "elsewhere", lacks: [] },
    offTrackBy: on !== undefined && on.release.track === "leaves" ? on : undefined,
  };
}

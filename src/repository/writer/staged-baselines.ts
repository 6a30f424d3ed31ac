/** Baselines among what the next publish takes. */
import path from "node:path";
import { readRegularFile, writeFileAtomically } from "../../base/stored-file.ts";
import { type Baseline, baselineBytes, readBaseline } from "../baseline.ts";
import { baselineFolder, baselinePath, catalogFolders } from "../layout.ts";
import { readBaselineFacts } from "../target-facts.ts";
import { type CatalogState, readState, type TargetJson, targetsOf } from "./catalog-state.ts";
import { idTaken, mustNotBeWithdrawn, type StageAnswer } from "./listing.ts";
import { sha256Hex } from "./metadata.ts";
import type { PlannedWrite } from "./plan.ts";

import { exclusively, namesIn, type RepositoryFolder, readSettings } from "./repository-folder.ts";

export interface StagedBaseline {
  readonly file: string;
  readonly path: string;
  readonly baseline: Baseline;
  readonly bytes: Buffer;
  readonly target: TargetJson;
}

/** As `stageHotpatch`. The release of a baseline that is published may change, and nothing else of it. */
export async function stageBaseline(
  repository: RepositoryFolder,
  baseline: Baseline,
  { dryRun }: { readonly dryRun: boolean },
): Promise<StageAnswer> {
  return await exclusively(repository, async () => {
    await readSettings(repository);
    const file = path.join(repository.stagedFolder, `${baseline.id}.baseline`);
    const one = stagedAs(file, baseline);
    if (!isFresh(await readState(repository), one)) return "published-before";
    if ((await stagedBaselines(repository)).some(({ bytes }) => bytes.equals(one.bytes))) return "staged-before";
    if (!dryRun) await writeFileAtomically(file, one.bytes, { mode: 0o600, replace: true });
    return "staged";
  });
}

export async function stagedBaselines(repository: RepositoryFolder): Promise<StagedBaseline[]> {
  const names = (await namesIn(repository.stagedFolder)).filter((name) => /^[^.].*\.baseline$/.test(name)).sort();
  const staged: StagedBaseline[] = [];
  for (const name of names) {
    const file = path.join(repository.stagedFolder, name);
    staged.push(stagedAs(file, readBaseline(await readRegularFile(file, { what: "baseline" }), name)));
  }
  return staged;
}

function stagedAs(file: string, baseline: Baseline): StagedBaseline {
  const bytes = baselineBytes(baseline);
  const digest = sha256Hex(bytes);
  const custom = { schema: "rebootless.catalog-baseline/1", baseline, digest };
  const target = { length: bytes.length, hashes: { sha256: digest }, custom };
  return { file, path: baselinePath(baseline.id), baseline, bytes, target };
}

/** Those that the catalog does not have as they are. Refuses with `repository/id-taken` or `repository/withdrawn`. */
export function freshBaselines(state: CatalogState, staged: readonly StagedBaseline[]): StagedBaseline[] {
  return staged.filter((one) => isFresh(state, one));
}

function isFresh(state: CatalogState, { path: name, baseline, target }: StagedBaseline): boolean {
  mustNotBeWithdrawn(state, "baseline", baseline.id);
  const published = targetsOf(state.publishers)[name];
  if (published === undefined) return true;
  if (published.hashes.sha256 === target.hashes.sha256) return false;
  const before = readBaselineFacts(published.custom)?.baseline;
  // What a machine must have to be on a baseline never changes under its name.
  const same =
    before !== undefined && baselineBytes({ ...before, release: baseline.release }).equals(baselineBytes(baseline));
  if (!same) idTaken(baseline.id, published.hashes.sha256);
  return true;
}

/** A baseline as the catalog would have it now, without its being staged. */
export function stagedBaselineTarget(baseline: Baseline): {
  readonly target: TargetJson;
  readonly write: PlannedWrite;
} {
  const one = stagedAs("", baseline);
  return { target: one.target, write: baselineWrite(one) };
}

export function baselineWrite({ baseline, bytes, target }: StagedBaseline): PlannedWrite {
  const name = `${target.hashes.sha256}.${baseline.id}.baseline`;
  return { name: `${catalogFolders.targets}/${baselineFolder}/${name}`, bytes };
}

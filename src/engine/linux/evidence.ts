/** What is told of a native hotpatch besides its findings: figures of what was proven, and why no process is concerned. Pure. */
import type { ElfBinary, ElfChange } from "../../hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";
import type { Finding, NativeEvidence } from "../engine.ts";
import type { MappedBinary } from "./process-binaries.ts";
import type { PatchRecord } from "./record.ts";

export function evidenceOf(
  { manifest }: Hotpatch,
  { functions }: PatchRecord,
  findings: readonly Finding[],
): NativeEvidence {
  return {
    buildIds: elfChangeOf(manifest).binaries.map(({ buildId }) => buildId),
    functions: functions.length,
    comparedBytes: findings.reduce((sum, { comparedBytes = 0 }) => sum + comparedBytes, 0),
    rehearsed: false,
  };
}

/** `processes`: what each of them has mapped. Other builds under the same name are named, since they are what the administrator will ask about. */
export function absenceOf(processes: readonly (readonly MappedBinary[])[], { binaries }: ElfChange): string {
  const wanted = binaries.map(({ name, buildId }) => `${name} with the build-id ${buildId}`).join(" or ");
  const others = binaries.flatMap((binary) => {
    const builds = processes.flatMap((mapped) => mapped.filter((one) => isNamesake(one, binary)).slice(0, 1));
    const ids = [...new Set(builds.map(({ buildId }) => buildId))];
    if (ids.length === 0) return [];
    const more = ids.length > namedBuilds ? ` and ${ids.length - namedBuilds} more` : "";
    const count = builds.length === 1 ? "1 process has" : `${builds.length} processes have`;
    return [`; ${count} another build of ${binary.name} (${ids.slice(0, namedBuilds).join(", ")}${more})`];
  });
  return `No process has ${wanted} loaded now${others.join("")}`;
}

const namedBuilds = 3;

/** `libexpat.so.1` is the beginning of `libexpat.so.1.8.10`. */
function isNamesake({ path, buildId }: MappedBinary, binary: ElfBinary): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return buildId !== binary.buildId && (name === binary.name || name.startsWith(`${binary.name}.`));
}

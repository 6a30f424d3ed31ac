/**
 * A change to a repository as data: the files to write, in order, and then the staged files to drop.
 *
 * Carrying it out may end anywhere: no write but the last ones of the chain (timestamp.json, a root) changes what clients see, and each of those alone leaves a valid catalog.
 */
import path from "node:path";
import { writeFileAtomically } from "../../base/stored-file.ts";
import type { RoleFile } from "./metadata.ts";
import { type RepositoryFolder, removeFile, removeLeftovers } from "./repository-folder.ts";

export interface PlannedWrite {
  /** Below the public folder, with `/`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Plan {
  readonly writes: readonly PlannedWrite[];
  /** Staged files that are published once everything is written; absolute. */
  readonly staged: readonly string[];
}

/** Where a role's file goes: consistent snapshots put the version before the name, except for the timestamp (section 6.2). */
export function metadataWrite({ role, version, bytes }: RoleFile): PlannedWrite {
  return { name: role === "timestamp" ? "metadata/timestamp.json" : `metadata/${version}.${role}.json`, bytes };
}

/** Throws `failure/file-write`; what was written stays, and is either in use or never named again. */
export async function carryOut(repository: RepositoryFolder, plan: Plan): Promise<void> {
  await removeLeftovers(repository);
  for (const { name, bytes } of plan.writes) {
    await writeFileAtomically(path.join(repository.publicFolder, name), bytes, { mode: 0o644, replace: true });
  }
  for (const file of plan.staged) await removeFile(file);
}

/**
 * What the repository says at this moment: the chain from timestamp.json, and the newest root.
 *
 * Files that no chain reaches, left by a command that was interrupted, are not part of it.
 */
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { publishersRole, type RoleName } from "../layout.ts";
import { isSigned, keysOf, type RoleFile, type RoleKeys, readRole, sha256Hex } from "./metadata.ts";
import { damaged, highestVersion, type RepositoryFolder, readMetadataFile } from "./repository-folder.ts";

export type CatalogState = { readonly [Role in RoleName]: RoleFile };

/** A target as section 4.5 writes it. */
export interface TargetJson {
  readonly length: number;
  readonly hashes: { readonly sha256: string };
  readonly custom?: unknown;
}

/** Throws `repository/damaged` where a file is missing or is not the one that the chain names, and `repository/missing` before the first timestamp. */
export async function readState(repository: RepositoryFolder): Promise<CatalogState> {
  const rootVersion = await highestVersion(repository, "root");
  const bytes = await readMetadataFile(repository, "timestamp.json");
  if (rootVersion === 0 || bytes === undefined) {
    throw new RebootlessError(
      "repository/missing",
      `${quoted(repository.folder)} holds no finished repository; run \`rebootless repo init\` again, with the same keys.`,
    );
  }
  const root = await readVersion(repository, "root", { version: rootVersion });
  const timestamp = parse(repository, "timestamp", "timestamp.json", bytes);
  const snapshot = await readVersion(repository, "snapshot", metaIn(repository, timestamp, "snapshot"));
  const targets = await readVersion(repository, "targets", metaIn(repository, snapshot, "targets"));
  const publishers = await readVersion(repository, publishersRole, metaIn(repository, snapshot, publishersRole));
  return { root, timestamp, snapshot, targets, publishers };
}

interface Meta {
  readonly version: number;
  readonly hashes?: { readonly sha256?: string };
}

function metaIn(repository: RepositoryFolder, file: RoleFile, role: RoleName): Meta {
  const { meta } = file.json as unknown as { meta: Readonly<Record<string, Meta>> };
  const found = meta[`${role}.json`];
  if (found === undefined) {
    throw damaged(
      path.join(repository.metadataFolder, `${file.version}.${file.role}.json`),
      `does not name ${role}.json`,
    );
  }
  return found;
}

async function readVersion(repository: RepositoryFolder, role: RoleName, meta: Meta): Promise<RoleFile> {
  const name = `${meta.version}.${role}.json`;
  const file = path.join(repository.metadataFolder, name);
  const bytes = await readMetadataFile(repository, name);
  if (bytes === undefined) throw damaged(file, "is missing");
  if (meta.hashes?.sha256 !== undefined && sha256Hex(bytes) !== meta.hashes.sha256) {
    throw damaged(file, "is not the file that was published under this name");
  }
  return parse(repository, role, name, bytes);
}

function parse(repository: RepositoryFolder, role: RoleName, name: string, bytes: Buffer): RoleFile {
  try {
    return readRole(role, bytes);
  } catch (error) {
    throw damaged(path.join(repository.metadataFolder, name), "is not TUF metadata", error);
  }
}

export function roleKeys(state: CatalogState, role: RoleName): RoleKeys {
  return keysOf(delegatorOf(state, role), role);
}

export function delegatorOf(state: CatalogState, role: RoleName): RoleFile {
  return role === publishersRole ? state.targets : state.root;
}

/** Roles whose file does not carry enough signatures of the keys that count now. */
export function unsignedRoles(state: CatalogState): RoleName[] {
  return (Object.keys(state) as RoleName[]).filter((role) => !isSigned(delegatorOf(state, role), state[role]));
}

export function targetsOf(file: RoleFile): Readonly<Record<string, TargetJson>> {
  return (file.json as unknown as { targets: Readonly<Record<string, TargetJson>> }).targets;
}

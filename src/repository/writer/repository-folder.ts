/**
 * The folder of a repository: `public`, which is served as it is, and `private`, which never leaves the machine.
 *
 * Invariant: a file in `public` never changes once it is there, but for timestamp.json; each appears whole, and a name is used once.
 */
import { readdir, readFile, stat, unlink } from "node:fs/promises";
import path from "node:path";
import { type Static, Type } from "typebox";
import { canonicalJson } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { checkSchema } from "../../base/schema-check.ts";
import { createFolder, errnoOf, readRegularFile, syncFolder, writeFileAtomically } from "../../base/stored-file.ts";
import { withLock } from "../folder-lock.ts";
import { baselineFolder, catalogFolders, hotpatchFolder, type RoleName } from "../layout.ts";

const days = Type.Integer({ minimum: 1, maximum: 3650 });
const Settings = Type.Object(
  {
    schema: Type.Literal("rebootless.repository/1"),
    /** For how many days each role's metadata is valid. */
    expiryDays: Type.Object(
      { root: days, targets: days, publishers: days, snapshot: days, timestamp: days },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);
export type Settings = Static<typeof Settings>;

export const defaultExpiryDays: Settings["expiryDays"] = {
  root: 365,
  targets: 365,
  publishers: 90,
  snapshot: 30,
  timestamp: 7,
};

export interface RepositoryFolder {
  readonly folder: string;
  readonly publicFolder: string;
  readonly metadataFolder: string;
  readonly hotpatchFolder: string;
  readonly baselineFolder: string;
  readonly privateFolder: string;
  readonly onlineKeys: string;
  readonly stagedFolder: string;
  readonly settingsFile: string;
  readonly lockFile: string;
}

export function repositoryFolder(folder: string): RepositoryFolder {
  const publicFolder = path.join(folder, "public");
  const privateFolder = path.join(folder, "private");
  return {
    folder,
    publicFolder,
    metadataFolder: path.join(publicFolder, catalogFolders.metadata),
    hotpatchFolder: path.join(publicFolder, catalogFolders.targets, hotpatchFolder),
    baselineFolder: path.join(publicFolder, catalogFolders.targets, baselineFolder),
    privateFolder,
    onlineKeys: path.join(privateFolder, "keys"),
    stagedFolder: path.join(privateFolder, "staged"),
    settingsFile: path.join(privateFolder, "settings.json"),
    lockFile: path.join(privateFolder, "lock"),
  };
}

/** Makes the folders that are missing, durably: each new name is synced in the folder above it. */
export async function makeFolders(repository: RepositoryFolder): Promise<void> {
  const wanted: readonly (readonly [string, number])[] = [
    [repository.folder, 0o755],
    [repository.publicFolder, 0o755],
    [repository.metadataFolder, 0o755],
    [path.dirname(repository.hotpatchFolder), 0o755],
    [repository.hotpatchFolder, 0o755],
    [repository.baselineFolder, 0o755],
    [repository.privateFolder, 0o700],
    [repository.onlineKeys, 0o700],
    [repository.stagedFolder, 0o700],
  ];
  for (const [folder, mode] of wanted) {
    await createFolder(folder, mode);
    try {
      await syncFolder(path.dirname(folder));
    } catch (error) {
      throw new RebootlessError("failure/file-write", `The folder ${quoted(path.dirname(folder))} cannot be synced.`, {
        cause: error,
      });
    }
  }
}

export async function writeSettings(repository: RepositoryFolder, settings: Settings): Promise<void> {
  await writeFileAtomically(repository.settingsFile, canonicalJson(settings), { mode: 0o600, replace: true });
}

/** Throws `repository/missing` where there is no repository, and `repository/damaged`. */
export async function readSettings(repository: RepositoryFolder): Promise<Settings> {
  let text: string;
  try {
    text = (await readRegularFile(repository.settingsFile, { what: "settings" })).toString("utf8");
  } catch (error) {
    if (error instanceof RebootlessError && error.code === "input/file-missing") {
      throw new RebootlessError(
        "repository/missing",
        `${quoted(repository.folder)} is not a repository; name one with --repo, or make one with \`rebootless repo init\`.`,
        { cause: error },
      );
    }
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(repository.settingsFile, "is not JSON", error);
  }
  return checkSchema(Settings, value, ({ field, problem }) => {
    throw damaged(repository.settingsFile, `${field} ${problem}`);
  });
}

export function damaged(file: string, how: string, cause?: unknown): RebootlessError {
  return new RebootlessError(
    "repository/damaged",
    `${quoted(file)} ${how}; the repository was changed by another hand. Bring the file back from a backup.`,
    { details: { file }, ...(cause === undefined ? {} : { cause }) },
  );
}

/** Runs `work` as the only command that changes this repository. Throws `repository/busy` or `repository/missing`. */
export async function exclusively<Result>(repository: RepositoryFolder, work: () => Promise<Result>): Promise<Result> {
  if (!(await exists(repository.privateFolder))) await readSettings(repository);
  return await withLock(repository.lockFile, { waitMs: 10_000 }, work);
}

export async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return false;
    throw new RebootlessError("input/file-unreadable", `${quoted(file)} cannot be looked at.`, { cause: error });
  }
}

/** The bytes of a metadata file; undefined when it is not there. */
export async function readMetadataFile(repository: RepositoryFolder, name: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path.join(repository.metadataFolder, name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw new RebootlessError("input/file-unreadable", `The metadata file ${quoted(name)} cannot be read.`, {
      cause: error,
    });
  }
}

/** The highest version of a role that any file has, published or left by a command that was interrupted; 0 without one. */
export async function highestVersion(repository: RepositoryFolder, role: RoleName): Promise<number> {
  const versions = (await namesIn(repository.metadataFolder)).map((name) => {
    const [version, rest] = [Number.parseInt(name, 10), name.replace(/^\d+\./, "")];
    return /^[1-9]\d{0,14}\./.test(name) && rest === `${role}.json` ? version : 0;
  });
  return Math.max(0, ...versions);
}

export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw new RebootlessError("input/file-unreadable", `The folder ${quoted(folder)} cannot be read.`, {
      cause: error,
    });
  }
}

/** Removes what writes that were interrupted left under temporary names; only under the lock. */
export async function removeLeftovers(repository: RepositoryFolder): Promise<void> {
  const folders = [
    repository.metadataFolder,
    repository.hotpatchFolder,
    repository.baselineFolder,
    repository.stagedFolder,
    repository.privateFolder,
    repository.onlineKeys,
  ];
  for (const folder of folders) {
    for (const name of await namesIn(folder)) {
      if (/^\..*\.tmp$/.test(name)) await removeFile(path.join(folder, name));
    }
  }
}

export async function removeFile(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw new RebootlessError("failure/file-write", `${quoted(file)} could not be removed.`, { cause: error });
  }
}

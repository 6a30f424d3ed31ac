/**
 * Where things lie in a catalog, as seen from outside: what its writer and its clients agree on, beside TUF itself.
 *
 * A catalog is a folder `metadata` and a folder `targets` under one address (TUF specification, section 3.2, "repository layout").
 */

export const catalogFolders = { metadata: "metadata", targets: "targets" } as const;

/** The roles of TUF specification section 2.1. */
export const topRoles = ["root", "targets", "snapshot", "timestamp"] as const;

/** Who may list hotpatches: a role to which `targets` delegates. */
export const publishersRole = "publishers";

export const roles = [...topRoles, publishersRole] as const;
export type RoleName = (typeof roles)[number];

/** The folders of hotpatches and of baselines among the targets. */
export const hotpatchFolder = "hotpatches";
export const baselineFolder = "baselines";

/** The target paths that are delegated to publishers (TUF specification section 4.5, PATHPATTERN). */
export const publishedPatterns = [`${hotpatchFolder}/*`, `${baselineFolder}/*`] as const;

/** What may stand under an id: ids consist of characters that need no escaping in a path or an address (manifest.ts). */
export const idPattern = /^[0-9A-Za-z][0-9A-Za-z._@+-]*$/;

/** The target path of a hotpatch. */
export function hotpatchPath(id: string): string {
  return `${hotpatchFolder}/${id}.hotpatch`;
}

/** The target path of a baseline. */
export function baselinePath(id: string): string {
  return `${baselineFolder}/${id}.baseline`;
}

export type EntryKind = "hotpatch" | "baseline";

/** The target path of the note that stands in the place of what was withdrawn. */
export function withdrawalPath(kind: EntryKind, id: string): string {
  return `${kind === "hotpatch" ? hotpatchFolder : baselineFolder}/${id}.withdrawn`;
}

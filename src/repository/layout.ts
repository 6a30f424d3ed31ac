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

/** The folder of hotpatches among the targets. */
export const hotpatchFolder = "hotpatches";

/** The target paths that are delegated to publishers (TUF specification section 4.5, PATHPATTERN). */
export const hotpatchPattern = `${hotpatchFolder}/*`;

/** The target path of a hotpatch; ids consist of characters that need no escaping in a path or an address (manifest.ts). */
export function hotpatchPath(id: string): string {
  return `${hotpatchFolder}/${id}.hotpatch`;
}

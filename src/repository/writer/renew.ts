/** New expiry for roles whose statement stays as it is. */
import { publishersRole, type RoleName } from "../layout.ts";
import { type CatalogState, roleKeys } from "./catalog-state.ts";
import { publisherDelegation } from "./init.ts";
import { type Json, keysIn, type RoleFile, rootJson, signRole, targetsJson } from "./metadata.ts";
import { exclusively, type RepositoryFolder } from "./repository-folder.ts";
import {
  type ChangeOptions,
  chainFiles,
  conclude,
  nextCommon,
  type Outcome,
  openSession,
  type Session,
  signersOf,
} from "./session.ts";
import type { Keyring } from "./tuf-keys.ts";

export interface RenewOptions extends ChangeOptions {
  readonly roles: readonly RoleName[];
  /** For root, targets and publishers. */
  readonly keyring: Keyring;
}

/** Renews the named roles, and every role whose file names one of them. Refuses with `repository/keys-missing`. */
export async function renew(repository: RepositoryFolder, options: RenewOptions): Promise<Outcome> {
  return await exclusively(repository, async () => {
    const session = await openSession(repository, options.now);
    const wanted = new Set(options.roles);
    const root = wanted.has("root") ? [await renewedRoot(session, options.keyring)] : [];
    if (wanted.size === root.length && wanted.size > 0) return await conclude(session, { files: root }, options);
    const targets = wanted.has("targets") ? await resigned(session, "targets", options.keyring) : undefined;
    const publishers = wanted.has(publishersRole)
      ? await resigned(session, publishersRole, options.keyring)
      : undefined;
    const keepSnapshot = targets === undefined && publishers === undefined && !wanted.has("snapshot");
    const chain = await chainFiles(session, {
      keepSnapshot,
      ...(targets === undefined ? {} : { targets }),
      ...(publishers === undefined ? {} : { publishers }),
    });
    return await conclude(session, { files: [...chain, ...root] }, options);
  });
}

async function renewedRoot(session: Session, keyring: Keyring): Promise<RoleFile> {
  const signers = await signersOf(session, "root", keyring);
  const { state } = session;
  const json = rootJson(await nextCommon(session, "root"), topRoleKeys(state), keysIn(state.root));
  return signRole("root", json, signers);
}

export function topRoleKeys(
  state: CatalogState,
): Record<"root" | "targets" | "snapshot" | "timestamp", ReturnType<typeof roleKeys>> {
  return {
    root: roleKeys(state, "root"),
    targets: roleKeys(state, "targets"),
    snapshot: roleKeys(state, "snapshot"),
    timestamp: roleKeys(state, "timestamp"),
  };
}

async function resigned(session: Session, role: "targets" | "publishers", keyring: Keyring): Promise<RoleFile> {
  const { state } = session;
  const signers = await signersOf(session, role, keyring);
  // The paths are written anew, so that a repository from before there were baselines gets them.
  const known = [...keysIn(state.targets)].map(([tufId, json]) => ({ tufId, json }));
  const delegations = role === "targets" ? publisherDelegation(roleKeys(state, publishersRole), known) : undefined;
  return signRole(role, sameTargets(state[role], await nextCommon(session, role), delegations), signers);
}

/** The same targets and delegations under a new version, or with other delegations. */
export function sameTargets(file: RoleFile, common: Awaited<ReturnType<typeof nextCommon>>, delegations?: Json): Json {
  const json = file.json as unknown as { readonly targets: Json; readonly delegations?: Json };
  return targetsJson(common, json.targets, delegations ?? json.delegations);
}

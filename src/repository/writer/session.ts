/**
 * One change to a repository: what it starts from, who can sign, and the chain of files that a change entails.
 *
 * Time comes in from outside; nothing here looks at a clock.
 */
import { createPublicKey } from "node:crypto";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { keyIdOf } from "../../hotpatch/key.ts";
import type { RoleName } from "../layout.ts";
import { type CatalogState, delegatorOf, readState, roleKeys, unsignedRoles } from "./catalog-state.ts";
import {
  type Common,
  expiryText,
  keysIn,
  type RoleFile,
  type RoleKeys,
  signRole,
  snapshotJson,
  timestampJson,
} from "./metadata.ts";
import { carryOut, metadataWrite, type Plan } from "./plan.ts";
import { highestVersion, type RepositoryFolder, readSettings, type Settings } from "./repository-folder.ts";
import { Keyring, type RoleSigner, type TufKey } from "./tuf-keys.ts";

export interface Session {
  readonly repository: RepositoryFolder;
  readonly settings: Settings;
  readonly state: CatalogState;
  readonly now: Date;
  /** The keys of snapshot and timestamp. */
  readonly online: Keyring;
}

/** Common to all commands that change a repository. */
export interface ChangeOptions {
  readonly now: Date;
  /** Work everything out and write nothing. */
  readonly dryRun: boolean;
}

export interface Outcome {
  readonly plan: Plan;
  /** What the repository says once the plan is carried out. */
  readonly state: CatalogState;
}

/** Throws `repository/missing` or `repository/damaged`. */
export async function openSession(repository: RepositoryFolder, now: Date): Promise<Session> {
  const settings = await readSettings(repository);
  const state = await readState(repository);
  return { repository, settings, state, now, online: await Keyring.open([repository.onlineKeys], undefined) };
}

/** The version after every one that a file of the role has, so that no name is used twice, and the expiry that the settings give. */
export async function nextCommon(session: Session, role: RoleName): Promise<Common> {
  const highest = role === "timestamp" ? 0 : await highestVersion(session.repository, role);
  return {
    version: Math.max(highest, session.state[role].version) + 1,
    expires: expiryText(session.now, session.settings.expiryDays[role]),
  };
}

export interface Wanted {
  readonly role: RoleName;
  readonly keys: RoleKeys;
  /** The file that holds the keys, to tell their ids. */
  readonly delegator: RoleFile;
}

/** All signers of a role that the keyring has. Refuses with `repository/keys-missing` when they are fewer than the threshold. */
export async function signersFor({ role, keys, delegator }: Wanted, keyring: Keyring): Promise<RoleSigner[]> {
  const signers = await keyring.signers(keys.keyids);
  if (signers.length < keys.threshold) {
    const known = keysIn(delegator);
    const missing = keys.keyids.filter((tufId) => !keyring.has(tufId)).map((tufId) => shownId(known.get(tufId), tufId));
    const online = role === "snapshot" || role === "timestamp";
    refuse(
      "repository/keys-missing",
      `Signing ${role} takes ${keys.threshold} of its ${keys.keyids.length} keys, and ${signers.length} are here. ${
        online ? "Bring back private/keys of the repository from a backup" : "Give the others with --keys"
      }: ${missing.join(", ")}.`,
      { role, threshold: keys.threshold, present: signers.length, missing },
    );
  }
  return signers;
}

export async function signersOf(session: Session, role: RoleName, keyring: Keyring): Promise<RoleSigner[]> {
  const { state } = session;
  return await signersFor({ role, keys: roleKeys(state, role), delegator: delegatorOf(state, role) }, keyring);
}

/** The id that `rebootless key show` tells of a key. */
export function shownId(json: TufKey["json"] | undefined, tufId: string): string {
  if (json === undefined) return tufId;
  const x = Buffer.from(json.keyval.public, "hex").toString("base64url");
  return keyIdOf(createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }));
}

export interface Chain {
  readonly targets?: RoleFile;
  readonly publishers?: RoleFile;
  /** Besides the keys that count now: those that will count when a new root is there. */
  readonly alsoSign?: { readonly role: "snapshot" | "timestamp"; readonly signers: readonly RoleSigner[] };
  /** Keep the snapshot as it is; only with no new targets or publishers. */
  readonly keepSnapshot?: boolean;
}

/** The files that make targets and publishers visible, in the order of writing; the timestamp last (TUF specification section 6.2). */
export async function chainFiles(session: Session, chain: Chain): Promise<RoleFile[]> {
  const { state, online } = session;
  const files: RoleFile[] = [];
  if (chain.targets !== undefined) files.push(chain.targets);
  if (chain.publishers !== undefined) files.push(chain.publishers);
  const also = (role: "snapshot" | "timestamp"): readonly RoleSigner[] =>
    chain.alsoSign?.role === role ? chain.alsoSign.signers : [];
  let snapshot = state.snapshot;
  if (chain.keepSnapshot !== true) {
    const listed = [chain.targets ?? state.targets, chain.publishers ?? state.publishers];
    const signers = [...(await signersOf(session, "snapshot", online)), ...also("snapshot")];
    snapshot = signRole("snapshot", snapshotJson(await nextCommon(session, "snapshot"), listed), signers);
    files.push(snapshot);
  }
  const signers = [...(await signersOf(session, "timestamp", online)), ...also("timestamp")];
  files.push(signRole("timestamp", timestampJson(await nextCommon(session, "timestamp"), snapshot), signers));
  return files;
}

export interface Change {
  /** In the order of writing. */
  readonly files: readonly RoleFile[];
  readonly hotpatches?: Plan["writes"];
  readonly staged?: readonly string[];
}

/** Checks that every file of the change is signed as the changed catalog demands, and carries it out unless it is a trial. */
export async function conclude(session: Session, change: Change, { dryRun }: ChangeOptions): Promise<Outcome> {
  const state: CatalogState = {
    ...session.state,
    ...Object.fromEntries(change.files.map((file) => [file.role, file])),
  };
  const changed = new Set<RoleName>(change.files.map(({ role }) => role));
  const bad = unsignedRoles(state).filter((role) => changed.has(role));
  if (bad.length > 0) {
    throw new RebootlessError("bug/invariant", `The new metadata of ${bad.join(", ")} lacks signatures.`);
  }
  const plan: Plan = {
    writes: [...(change.hotpatches ?? []), ...change.files.map(metadataWrite)],
    staged: change.staged ?? [],
  };
  if (!dryRun) await carryOut(session.repository, plan);
  return { plan, state };
}

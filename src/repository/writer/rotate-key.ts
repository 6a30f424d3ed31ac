/**
 * New keys for a role.
 *
 * Where the root names the role's keys, the role's file is first signed by the old and the new keys together and published, and only then comes the root that names the new ones:
 * so the catalog is valid under both roots, whenever the change is interrupted.
 */
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";
import { isPrivateKeyFile, loadPublicKey } from "../../hotpatch/key.ts";
import { publishersRole, type RoleName } from "../layout.ts";
import { delegatorOf, roleKeys } from "./catalog-state.ts";
import { publisherDelegation, trialSigner } from "./init.ts";
import { keysIn, type RoleFile, type RoleKeys, rootJson, signRole } from "./metadata.ts";
import { sameTargets, topRoleKeys } from "./renew.ts";
import { exclusively, type RepositoryFolder } from "./repository-folder.ts";
import {
  type ChangeOptions,
  chainFiles,
  conclude,
  nextCommon,
  type Outcome,
  openSession,
  type Session,
  shownId,
  signersFor,
  signersOf,
} from "./session.ts";
import { type Keyring, makeNumberedKey, type RoleSigner, signerOf, type TufKey, tufKeyOf } from "./tuf-keys.ts";

export interface RotateOptions extends ChangeOptions {
  readonly role: RoleName;
  /** Offline keys: those of the root always, and the role's own. */
  readonly keyring: Keyring;
  readonly passphrase: string | undefined;
  /** Beginnings of the ids of keys that go; all of the role's keys when empty. */
  readonly replace: readonly string[];
  /** No key goes; those that come are added. */
  readonly keep: boolean;
  /** Key files that come, private ones, or public ones (`.pub`) of people who sign elsewhere; when empty, as many are made as go, or one. */
  readonly newKeys: readonly string[];
  /** Where new keys of an offline role are made. */
  readonly keyFolder: string | undefined;
  /** The role's threshold from now on; as before when undefined. */
  readonly threshold: number | undefined;
  /** For targets only: the old keys are gone. Clients refuse the catalog from the new root until the rest is written. */
  readonly oldKeysLost: boolean;
}

interface Rotation {
  readonly before: RoleKeys;
  readonly after: RoleKeys;
  readonly added: readonly TufKey[];
  /** New keys and those that stay, as far as their private keys are here. */
  readonly signers: readonly RoleSigner[];
}

export interface Rotated extends Outcome {
  /** Ids as `rebootless key show` tells them. */
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

/** Refuses with `repository/keys-missing`; throws `key/unknown` and `usage/arguments`. */
export async function rotateKey(repository: RepositoryFolder, options: RotateOptions): Promise<Rotated> {
  return await exclusively(repository, async () => {
    const session = await openSession(repository, options.now);
    const { role } = options;
    await mustHoldDelegator(session, options);
    const rotation = await prepare(session, options);
    const files =
      role === "root" ? [await newRoot(session, options, rotation)] : await changed(session, options, rotation);
    const outcome = await conclude(session, { files }, options);
    const known = keysIn(delegatorOf(session.state, role));
    return {
      ...outcome,
      removed: rotation.before.keyids
        .filter((tufId) => !rotation.after.keyids.includes(tufId))
        .map((tufId) => shownId(known.get(tufId), tufId)),
      added: rotation.added.map(({ keyId }) => keyId),
    };
  });
}

/** Before any key is made: whoever names the role's keys must be able to sign. */
async function mustHoldDelegator(session: Session, { role, keyring, oldKeysLost }: RotateOptions): Promise<void> {
  await signersOf(session, role === publishersRole ? "targets" : "root", keyring);
  if (role === "targets" && !oldKeysLost) await signersOf(session, "targets", keyring);
  if (role === "snapshot" || role === "timestamp") await signersOf(session, role, session.online);
}

async function prepare(session: Session, options: RotateOptions): Promise<Rotation> {
  const { role, keyring, replace } = options;
  const before = roleKeys(session.state, role);
  const known = keysIn(delegatorOf(session.state, role));
  const named = replace.map((prefix) => findKey(prefix, before, known));
  const going = replace.length === 0 && !options.keep ? [...before.keyids] : named;
  const staying = before.keyids.filter((tufId) => !going.includes(tufId));
  const { added, signers } = await comingKeys(session, options, Math.max(1, going.length));
  const keyids = [...new Set([...staying, ...added.map(({ tufId }) => tufId)])];
  const threshold = options.threshold ?? before.threshold;
  if (threshold < 1 || threshold > keyids.length) {
    throw new RebootlessError(
      "usage/arguments",
      `${role} would have ${keyids.length} keys, which a threshold of ${threshold} does not fit.`,
    );
  }
  const online = role === "snapshot" || role === "timestamp";
  const present = await (online ? session.online : keyring).signers(staying);
  return { before, after: { keyids, threshold }, added, signers: [...present, ...signers] };
}

interface Coming {
  readonly added: readonly TufKey[];
  /** Those whose private keys are here. */
  readonly signers: readonly RoleSigner[];
}

async function comingKeys(session: Session, options: RotateOptions, count: number): Promise<Coming> {
  const added: TufKey[] = [];
  const signers: RoleSigner[] = [];
  for (const file of options.newKeys) {
    if (await isPrivateKeyFile(file)) signers.push(await signerOf(file, options.passphrase));
    else added.push(tufKeyOf((await loadPublicKey(file)).publicKey));
  }
  while (options.newKeys.length === 0 && signers.length < count) signers.push(await makeSigner(session, options));
  return { added: [...added, ...signers], signers };
}

function findKey(prefix: string, keys: RoleKeys, known: ReturnType<typeof keysIn>): string {
  const found = keys.keyids.filter((tufId) => shownId(known.get(tufId), tufId).startsWith(prefix.toLowerCase()));
  const [tufId] = found;
  if (tufId === undefined || found.length > 1 || prefix.length < 8) {
    throw new RebootlessError(
      "key/unknown",
      `${quoted(prefix)} is not the beginning, of at least 8 digits, of the id of one key of the role; see \`rebootless repo status\`.`,
    );
  }
  return tufId;
}

async function makeSigner(session: Session, options: RotateOptions): Promise<RoleSigner> {
  if (options.dryRun) return trialSigner();
  const { role } = options;
  if (role === "snapshot" || role === "timestamp") {
    return await signerOf(await makeNumberedKey(session.repository.onlineKeys, role, undefined), undefined);
  }
  if (options.keyFolder === undefined) {
    throw new RebootlessError("usage/arguments", "Say in which folder the new keys are to be made: --keys FOLDER.");
  }
  return await signerOf(await makeNumberedKey(options.keyFolder, role, options.passphrase), options.passphrase);
}

/** TUF specification 5.3.4: a new root is signed by the threshold of the old root keys and of the new ones. */
async function newRoot(
  session: Session,
  options: RotateOptions,
  { after, added, signers }: Rotation,
): Promise<RoleFile> {
  const { state } = session;
  const { role, keyring } = options;
  const keys = new Map([...keysIn(state.root), ...added.map((signer) => [signer.tufId, signer.json] as const)]);
  const json = rootJson(await nextCommon(session, "root"), { ...topRoleKeys(state), [role]: after }, keys);
  const own = role === "root" ? signers : [];
  if (role === "root") mustReach(role, after, own);
  return signRole("root", json, [...(await signersOf(session, "root", keyring)), ...own]);
}

async function changed(session: Session, options: RotateOptions, rotation: Rotation): Promise<RoleFile[]> {
  const { role, keyring, oldKeysLost } = options;
  const { after, signers } = rotation;
  if (role === publishersRole) return await changedPublishers(session, options, rotation);
  mustReach(role, after, signers);
  const root = await newRoot(session, options, rotation);
  if (role === "targets") {
    const old = await keyring.signers(rotation.before.keyids);
    const json = sameTargets(session.state.targets, await nextCommon(session, "targets"));
    const chain = await chainFiles(session, { targets: signRole("targets", json, [...old, ...signers]) });
    const bothSign = old.length >= rotation.before.threshold;
    // With the old keys gone there is no file that both roots accept; the new root comes first, and the rest mends the catalog.
    return bothSign || !oldKeysLost ? [...chain, root] : [root, ...chain];
  }
  if (role !== "snapshot" && role !== "timestamp") {
    throw new RebootlessError("bug/invariant", `The role ${role} has no keys of this kind.`);
  }
  const chain = await chainFiles(session, { alsoSign: { role, signers }, keepSnapshot: role === "timestamp" });
  return [...chain, root];
}

/** The delegation and what it delegates change in one snapshot, so that clients see either both or none. */
async function changedPublishers(session: Session, options: RotateOptions, rotation: Rotation): Promise<RoleFile[]> {
  const { state } = session;
  const { after, added, signers } = rotation;
  const known = [...keysIn(state.targets)].map(([tufId, json]) => ({ tufId, json }));
  const named = [...known, ...added].filter(({ tufId }) => after.keyids.includes(tufId));
  const delegations = publisherDelegation(after, named);
  const json = sameTargets(state.targets, await nextCommon(session, "targets"), delegations);
  const targets = signRole("targets", json, await signersOf(session, "targets", options.keyring));
  mustReach(publishersRole, after, signers);
  const list = sameTargets(state.publishers, await nextCommon(session, publishersRole));
  const publishers = signRole(publishersRole, list, signers);
  await signersFor({ role: "targets", keys: roleKeys(state, "targets"), delegator: state.root }, options.keyring);
  return await chainFiles(session, { targets, publishers });
}

function mustReach(role: RoleName, { threshold }: RoleKeys, signers: readonly RoleSigner[]): void {
  if (signers.length >= threshold) return;
  refuse(
    "repository/keys-missing",
    `The new threshold of ${role} is ${threshold}, and ${signers.length} of its keys are here; give the others with --keys.`,
    { role, threshold, present: signers.length },
  );
}

/** The first state of a repository: keys, the first root, and an empty catalog under it. */
import { generateKeyPairSync } from "node:crypto";
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { keyIdOf } from "../../hotpatch/key.ts";
import { withLock } from "../folder-lock.ts";
import { publishedPatterns, publishersRole, type RoleName, roles } from "../layout.ts";
import type { CatalogState } from "./catalog-state.ts";
import {
  type Common,
  expiryText,
  type Json,
  type RoleFile,
  type RoleKeys,
  rootJson,
  signRole,
  snapshotJson,
  targetsJson,
  timestampJson,
} from "./metadata.ts";
import { carryOut, metadataWrite, type Plan } from "./plan.ts";
import { exists, makeFolders, type RepositoryFolder, type Settings, writeSettings } from "./repository-folder.ts";
import type { ChangeOptions, Outcome } from "./session.ts";
import { makeNumberedKey, numberedKeys, type RoleSigner, roleSigner, signerOf } from "./tuf-keys.ts";

export interface RoleSize {
  readonly keys: number;
  readonly threshold: number;
}

export interface InitOptions extends ChangeOptions {
  /** Where the offline keys lie or are made: `root-1.key`, `targets-1.key`, `publishers-1.key` and so on. */
  readonly keyFolder: string;
  /** For the offline keys; the online ones are used without anybody there. */
  readonly passphrase: string | undefined;
  readonly sizes: { readonly [Role in "root" | "targets" | "publishers"]: RoleSize };
  /** Private keys that publish, instead of `publishers-N.key`. */
  readonly publisherKeys: readonly string[];
  readonly expiryDays: Settings["expiryDays"];
}

type Signers = { readonly [Role in RoleName]: readonly RoleSigner[] };

/**
 * Makes a repository, or finishes one whose making was interrupted.
 * Throws `repository/exists`, `repository/busy`, and what keys may throw.
 */
export async function initRepository(repository: RepositoryFolder, options: InitOptions): Promise<Outcome> {
  checkSizes(options);
  if (options.dryRun) return await init(repository, options);
  await makeFolders(repository);
  return await withLock(repository.lockFile, { waitMs: 10_000 }, () => init(repository, options));
}

async function init(repository: RepositoryFolder, options: InitOptions): Promise<Outcome> {
  if (await exists(path.join(repository.metadataFolder, "timestamp.json"))) {
    throw new RebootlessError("repository/exists", `${quoted(repository.folder)} is a repository already.`);
  }
  const signers = await allSigners(repository, options);
  const state = firstState(signers, options);
  const order: readonly RoleName[] = ["root", "targets", publishersRole, "snapshot", "timestamp"];
  const plan: Plan = { writes: order.map((role) => metadataWrite(state[role])), staged: [] };
  if (!options.dryRun) {
    await writeSettings(repository, { schema: "rebootless.repository/1", expiryDays: options.expiryDays });
    await carryOut(repository, plan);
  }
  return { plan, state };
}

function checkSizes({ sizes }: InitOptions): void {
  for (const [role, { keys, threshold }] of Object.entries(sizes)) {
    if (threshold < 1 || keys < threshold || keys > 32) {
      throw new RebootlessError(
        "usage/arguments",
        `${role} cannot have a threshold of ${threshold} of ${keys} keys: it takes at least 1, at most as many as there are keys, and 32 keys at most.`,
      );
    }
  }
}

async function allSigners(repository: RepositoryFolder, options: InitOptions): Promise<Signers> {
  const { keyFolder, passphrase, sizes, dryRun } = options;
  const offline = (role: "root" | "targets" | "publishers") =>
    takeOrMake({ folder: keyFolder, role, count: sizes[role].keys, passphrase, dryRun });
  const online = (role: "snapshot" | "timestamp") =>
    takeOrMake({ folder: repository.onlineKeys, role, count: 1, passphrase: undefined, dryRun });
  const publishers =
    options.publisherKeys.length === 0
      ? await offline("publishers")
      : await Promise.all(options.publisherKeys.map((file) => signerOf(file, passphrase)));
  if (publishers.length < sizes.publishers.threshold) {
    throw new RebootlessError(
      "usage/arguments",
      `publishers need ${sizes.publishers.threshold} keys, and --publisher-key names ${publishers.length}.`,
    );
  }
  return {
    root: await offline("root"),
    targets: await offline("targets"),
    publishers,
    snapshot: await online("snapshot"),
    timestamp: await online("timestamp"),
  };
}

interface KeyOrder {
  readonly folder: string;
  readonly role: RoleName;
  readonly count: number;
  readonly passphrase: string | undefined;
  readonly dryRun: boolean;
}

/** The numbered keys of a role in a folder, and as many new ones as are missing. */
async function takeOrMake({ folder, role, count, passphrase, dryRun }: KeyOrder): Promise<RoleSigner[]> {
  const signers: RoleSigner[] = [];
  for (const file of await numberedKeys(folder, role)) signers.push(await signerOf(file, passphrase));
  while (signers.length < count) {
    signers.push(dryRun ? trialSigner() : await signerOf(await makeNumberedKey(folder, role, passphrase), passphrase));
  }
  return signers;
}

/** A key that nobody keeps, for working out what would be written. */
export function trialSigner(): RoleSigner {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return roleSigner({ keyId: keyIdOf(publicKey), privateKey }, publicKey);
}

function firstState(signers: Signers, { now, expiryDays, sizes }: InitOptions): CatalogState {
  const common = (role: RoleName): Common => ({ version: 1, expires: expiryText(now, expiryDays[role]) });
  const keysFor = (role: RoleName): RoleKeys => ({
    keyids: signers[role].map(({ tufId }) => tufId),
    threshold: role === "snapshot" || role === "timestamp" ? 1 : sizes[role].threshold,
  });
  const keys = new Map(roles.flatMap((role) => signers[role].map((signer) => [signer.tufId, signer.json] as const)));
  const topKeys = {
    root: keysFor("root"),
    targets: keysFor("targets"),
    snapshot: keysFor("snapshot"),
    timestamp: keysFor("timestamp"),
  };
  const file = (role: RoleName, json: Json): RoleFile => signRole(role, json, signers[role]);
  const delegations = publisherDelegation(keysFor(publishersRole), signers.publishers);
  const root = file("root", rootJson(common("root"), topKeys, keys));
  const targets = file("targets", targetsJson(common("targets"), {}, delegations));
  const publishers = file(publishersRole, targetsJson(common(publishersRole), {}));
  const snapshot = file("snapshot", snapshotJson(common("snapshot"), [targets, publishers]));
  const timestamp = file("timestamp", timestampJson(common("timestamp"), snapshot));
  return { root, targets, publishers, snapshot, timestamp };
}

/** Section 4.5, "delegations": everything under hotpatches/ and baselines/ is for publishers to list, and nothing else. */
export function publisherDelegation(keys: RoleKeys, known: readonly Pick<RoleSigner, "tufId" | "json">[]): Json {
  return {
    keys: Object.fromEntries(known.map(({ tufId, json }) => [tufId, json])),
    roles: [{ name: publishersRole, ...keys, terminating: true, paths: [...publishedPatterns] }],
  } as unknown as Json;
}

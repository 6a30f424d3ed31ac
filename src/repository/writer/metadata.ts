/**
 * From what a role says to the bytes of its metadata file, signed.
 *
 * Built by the classes of @tufjs/models, so that what is written is what they would read; the file itself is canonical JSON.
 * Metadata is handled as JSON between reading and writing, since those classes cannot be changed.
 */
import { createHash } from "node:crypto";
import { canonicalize } from "@tufjs/canonical-json";
import { Metadata, MetadataKind, Root, Signature, Snapshot, Targets, Timestamp } from "@tufjs/models";
import { canonicalJson } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { catalogLimits } from "../catalog-limits.ts";
import type { RoleName } from "../layout.ts";
import type { RoleSigner, TufKey } from "./tuf-keys.ts";

/** TUF specification section 4.3, "spec_version". */
const specVersion = "1.0.31";

export type Json = Parameters<typeof Root.fromJSON>[0];
type Signed = Root | Snapshot | Targets | Timestamp;

/** A metadata file that was written or read. */
export interface RoleFile {
  readonly role: RoleName;
  readonly version: number;
  readonly expires: string;
  readonly bytes: Buffer;
  readonly metadata: Metadata<Signed>;
  /** The signed part. */
  readonly json: Json;
}

export interface RoleKeys {
  readonly keyids: readonly string[];
  readonly threshold: number;
}

/** What every role says (section 4.3, "Common fields"). */
export interface Common {
  readonly version: number;
  readonly expires: string;
}

const byteLimits = {
  root: catalogLimits.rootBytes,
  timestamp: catalogLimits.timestampBytes,
  snapshot: catalogLimits.snapshotBytes,
  targets: catalogLimits.targetsBytes,
  publishers: catalogLimits.targetsBytes,
} as const satisfies Record<RoleName, number>;

/** A point in time as section 4.3 writes it: ISO 8601 in UTC, to the second. */
export function expiryText(now: Date, days: number): string {
  const date = new Date(now.getTime() + days * 86_400_000);
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** Signs a role's statement; throws `input/too-large` when no client would read it. */
export function signRole(role: RoleName, json: Json, signers: readonly RoleSigner[]): RoleFile {
  const signed = signedFrom(role, json);
  const metadata = new Metadata(signed);
  const message = Buffer.from(canonicalize(signed.toJSON()), "utf8");
  const inOrder = [...new Map(signers.map((signer) => [signer.tufId, signer])).values()].sort((left, right) =>
    left.tufId < right.tufId ? -1 : 1,
  );
  for (const signer of inOrder) {
    metadata.signatures[signer.tufId] = new Signature({ keyID: signer.tufId, sig: signer.sign(message) });
  }
  const bytes = Buffer.from(canonicalJson(plain(metadata.toJSON())), "utf8");
  if (bytes.length > byteLimits[role]) {
    throw new RebootlessError(
      "input/too-large",
      `The metadata of ${role} would have ${bytes.length} bytes, and clients read at most ${byteLimits[role]}.`,
    );
  }
  return roleFile(role, bytes, metadata);
}

/** Reads a role's file; structure only. Throws what @tufjs/models throws. */
export function readRole(role: RoleName, bytes: Buffer): RoleFile {
  const json = JSON.parse(bytes.toString("utf8")) as Json;
  const metadata = { root, timestamp, snapshot, targets, publishers: targets }[role](json);
  return roleFile(role, bytes, metadata);
}

const root = (json: Json): Metadata<Signed> => Metadata.fromJSON(MetadataKind.Root, json);
const timestamp = (json: Json): Metadata<Signed> => Metadata.fromJSON(MetadataKind.Timestamp, json);
const snapshot = (json: Json): Metadata<Signed> => Metadata.fromJSON(MetadataKind.Snapshot, json);
const targets = (json: Json): Metadata<Signed> => Metadata.fromJSON(MetadataKind.Targets, json);

function signedFrom(role: RoleName, json: Json): Signed {
  switch (role) {
    case "root":
      return Root.fromJSON(json);
    case "timestamp":
      return Timestamp.fromJSON(json);
    case "snapshot":
      return Snapshot.fromJSON(json);
    case "targets":
    case "publishers":
      return Targets.fromJSON(json);
  }
}

function roleFile(role: RoleName, bytes: Buffer, metadata: Metadata<Signed>): RoleFile {
  const { version, expires } = metadata.signed;
  return { role, version, expires, bytes, metadata, json: plain(metadata.signed.toJSON()) };
}

/** The same value without members that are undefined, which have no JSON. */
function plain(value: Json): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

/** Section 4.3. `keys` holds every key that a role names. */
export function rootJson(
  common: Common,
  roleKeys: Readonly<Record<string, RoleKeys>>,
  keys: ReadonlyMap<string, TufKey["json"]>,
): Json {
  const named = new Set(Object.values(roleKeys).flatMap(({ keyids }) => keyids));
  return plain({
    _type: "root",
    spec_version: specVersion,
    ...common,
    consistent_snapshot: true,
    keys: Object.fromEntries([...keys].filter(([tufId]) => named.has(tufId))),
    roles: roleKeys,
  } as unknown as Json);
}

/** Section 4.5. */
export function targetsJson(common: Common, targetFiles: Json, delegations?: Json): Json {
  return plain({
    _type: "targets",
    spec_version: specVersion,
    ...common,
    targets: targetFiles,
    ...(delegations === undefined ? {} : { delegations }),
  });
}

/** Section 4.4: names each targets file by version, length and digest, so that none can be exchanged for another. */
export function snapshotJson(common: Common, files: readonly RoleFile[]): Json {
  const meta = Object.fromEntries(files.map((file) => [`${file.role}.json`, metaOf(file)]));
  return plain({ _type: "snapshot", spec_version: specVersion, ...common, meta });
}

/** Section 4.6. */
export function timestampJson(common: Common, snapshotFile: RoleFile): Json {
  return plain({
    _type: "timestamp",
    spec_version: specVersion,
    ...common,
    meta: { "snapshot.json": metaOf(snapshotFile) },
  });
}

function metaOf({ version, bytes }: RoleFile): Json {
  return { version, length: bytes.length, hashes: { sha256: sha256Hex(bytes) } };
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The keys and the threshold of a role, from the metadata that delegates to it: root, or targets for publishers. */
export function keysOf(delegator: RoleFile, role: RoleName): RoleKeys {
  const found = roleEntry(delegator, role);
  return { keyids: found?.keyids ?? [], threshold: found?.threshold ?? 1 };
}

function roleEntry(delegator: RoleFile, role: RoleName): RoleKeys | undefined {
  const json = delegator.json as unknown as {
    readonly roles?: Readonly<Record<string, RoleKeys>>;
    readonly delegations?: { readonly roles?: readonly (RoleKeys & { readonly name: string })[] };
  };
  return json.roles?.[role] ?? json.delegations?.roles?.find(({ name }) => name === role);
}

/** All keys that a delegating file holds, by their TUF ids. */
export function keysIn(delegator: RoleFile): Map<string, TufKey["json"]> {
  const json = delegator.json as unknown as {
    readonly keys?: Readonly<Record<string, TufKey["json"]>>;
    readonly delegations?: { readonly keys?: Readonly<Record<string, TufKey["json"]>> };
  };
  return new Map(Object.entries(json.keys ?? json.delegations?.keys ?? {}));
}

/** Whether enough keys of a role signed its file. */
export function isSigned(delegator: RoleFile, file: RoleFile): boolean {
  try {
    delegator.metadata.verifyDelegate(file.role, file.metadata);
    return true;
  } catch {
    // The only thing that it throws for files that were read: too few signatures, or no such role.
    return false;
  }
}

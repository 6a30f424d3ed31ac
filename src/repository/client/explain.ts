/**
 * Why the TUF client refused a catalog, told apart by attack.
 *
 * The TUF client alone decides; this file only finds words for a decision that has been made, from the bytes that were refused and the metadata that was trusted before.
 * It goes through the same clauses of the specification in the same order, and stops at the first that does not hold.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import {
  Metadata,
  MetadataKind,
  type MetaFile,
  type Root,
  type Snapshot,
  type Targets,
  type Timestamp,
} from "@tufjs/models";
import { quoted } from "../../base/printable.ts";
import { type Refusal, type RefusalCode, RefusalError } from "../../base/refusal.ts";
import type { LastFetch } from "./catalog-fetcher.ts";

type Any = Metadata<Root> | Metadata<Snapshot> | Metadata<Targets> | Metadata<Timestamp>;

export interface Refused {
  /** What the TUF client threw. */
  readonly error: unknown;
  readonly last: LastFetch | undefined;
  /** Where the TUF client keeps the metadata that it trusts. */
  readonly trustedFolder: string;
  readonly now: Date;
}

/** The refusal of a metadata file. */
export async function explain(refused: Refused): Promise<RefusalError> {
  const refusal = (await firstFault(refused)) ?? unusable(refused.last?.name ?? "metadata");
  return new RefusalError(refusal, { cause: refused.error });
}

async function firstFault({ last, trustedFolder, now }: Refused): Promise<Refusal | undefined> {
  if (last === undefined) return undefined;
  const file = path.basename(last.name);
  const role = /^(?:\d+\.)?([^/]+)\.json$/.exec(file)?.[1] ?? "";
  const trusted = new Trusted(trustedFolder);
  const root = await trusted.read("root", MetadataKind.Root);
  if (root === undefined) return undefined;
  // 5.3.10: the last root is checked for its expiry before anything else is used.
  if (role !== "root" && root.signed.isExpired(now)) return expired("root", root, now);
  if (last.bytes === undefined) return missing(last.name);
  switch (role) {
    case "root":
      return rootFault(file, last.bytes, root);
    case "timestamp":
      return timestampFault({ file, bytes: last.bytes, root, trusted, now });
    case "snapshot":
      return await snapshotFault({ file, bytes: last.bytes, root, trusted, now });
    default:
      return await targetsFault({ file, bytes: last.bytes, root, trusted, now }, decodeURIComponent(role));
  }
}

class Trusted {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(role: string, kind: MetadataKind.Root): Promise<Metadata<Root> | undefined>;
  async read(role: string, kind: MetadataKind.Timestamp): Promise<Metadata<Timestamp> | undefined>;
  async read(role: string, kind: MetadataKind.Snapshot): Promise<Metadata<Snapshot> | undefined>;
  async read(role: string, kind: MetadataKind.Targets): Promise<Metadata<Targets> | undefined>;
  async read(role: string, kind: MetadataKind): Promise<Any | undefined> {
    try {
      return parse(await readFile(path.join(this.#folder, `${encodeURIComponent(role)}.json`)), kind);
    } catch {
      // Nothing of this role was trusted yet.
      return undefined;
    }
  }
}

function parse(bytes: Buffer, kind: MetadataKind): Any | undefined {
  try {
    const json = JSON.parse(bytes.toString("utf8"));
    switch (kind) {
      case MetadataKind.Root:
        return Metadata.fromJSON(kind, json);
      case MetadataKind.Timestamp:
        return Metadata.fromJSON(kind, json);
      case MetadataKind.Snapshot:
        return Metadata.fromJSON(kind, json);
      case MetadataKind.Targets:
        return Metadata.fromJSON(kind, json);
    }
  } catch {
    // Not metadata of this kind, which the caller tells.
    return undefined;
  }
}

interface Given {
  readonly file: string;
  readonly bytes: Buffer;
  readonly root: Metadata<Root>;
  readonly trusted: Trusted;
  readonly now: Date;
}

/** 5.3.4 to 5.3.6. */
function rootFault(file: string, bytes: Buffer, root: Metadata<Root>): Refusal | undefined {
  const offered = parse(bytes, MetadataKind.Root) as Metadata<Root> | undefined;
  if (offered === undefined) return undefined;
  const byOld = signatureFault(file, root, "root", offered);
  if (byOld !== undefined) return byOld;
  const wanted = root.signed.version + 1;
  if (offered.signed.version !== wanted) {
    return rollback(file, `it is root version ${offered.signed.version}, and version ${wanted} comes next`);
  }
  return signatureFault(file, offered, "root", offered);
}

/** 5.4.2 to 5.4.4. */
async function timestampFault({ file, bytes, root, trusted, now }: Given): Promise<Refusal | undefined> {
  const offered = parse(bytes, MetadataKind.Timestamp) as Metadata<Timestamp> | undefined;
  if (offered === undefined) return undefined;
  const unsigned = signatureFault(file, root, "timestamp", offered);
  if (unsigned !== undefined) return unsigned;
  const before = await trusted.read("timestamp", MetadataKind.Timestamp);
  if (before !== undefined) {
    const [old, offer] = [before.signed, offered.signed];
    if (offer.version < old.version) return rollback(file, `version ${offer.version} is older than ${old.version}`);
    if (offer.snapshotMeta.version < old.snapshotMeta.version) {
      return rollback(
        file,
        `it goes back from snapshot version ${old.snapshotMeta.version} to ${offer.snapshotMeta.version}`,
      );
    }
  }
  return offered.signed.isExpired(now) ? frozen(offered, now) : undefined;
}

/** 5.5.2 to 5.5.6. */
async function snapshotFault({ file, bytes, root, trusted, now }: Given): Promise<Refusal | undefined> {
  const timestamp = await trusted.read("timestamp", MetadataKind.Timestamp);
  if (timestamp === undefined) return undefined;
  if (timestamp.signed.isExpired(now)) return frozen(timestamp, now);
  const offered = parse(bytes, MetadataKind.Snapshot) as Metadata<Snapshot> | undefined;
  const meta = timestamp.signed.snapshotMeta;
  const other = exchanged({ file, bytes, meta, genuine: signs(root, "snapshot", offered), by: "timestamp.json" });
  if (other !== undefined || offered === undefined) return other;
  const unsigned = signatureFault(file, root, "snapshot", offered);
  if (unsigned !== undefined) return unsigned;
  const before = await trusted.read("snapshot", MetadataKind.Snapshot);
  for (const [name, { version }] of Object.entries(before?.signed.meta ?? {})) {
    const listed = offered.signed.meta[name];
    if (listed === undefined) return rollback(file, `it no longer names ${name}`);
    if (listed.version < version) {
      return rollback(file, `it goes back from ${name} version ${version} to ${listed.version}`);
    }
  }
  if (offered.signed.isExpired(now)) return expired("snapshot", offered, now);
  return offered.signed.version === meta.version ? undefined : mixed(file, "timestamp.json");
}

/** 5.6.2 to 5.6.5. */
async function targetsFault(given: Given, role: string): Promise<Refusal | undefined> {
  const { file, bytes, root, trusted, now } = given;
  const snapshot = await trusted.read("snapshot", MetadataKind.Snapshot);
  const meta = snapshot?.signed.meta[`${role}.json`];
  if (snapshot === undefined || meta === undefined) return undefined;
  const offered = parse(bytes, MetadataKind.Targets) as Metadata<Targets> | undefined;
  const delegator = role === "targets" ? root : await trusted.read("targets", MetadataKind.Targets);
  if (delegator === undefined) return undefined;
  const other = exchanged({ file, bytes, meta, genuine: signs(delegator, role, offered), by: "the snapshot" });
  if (other !== undefined || offered === undefined) return other;
  const unsigned = signatureFault(file, delegator, role, offered);
  if (unsigned !== undefined) return unsigned;
  if (offered.signed.version !== meta.version) return mixed(file, "the snapshot");
  return offered.signed.isExpired(now) ? expired(role, offered, now) : undefined;
}

interface Exchanged {
  readonly file: string;
  readonly bytes: Buffer;
  readonly meta: MetaFile;
  /** Whether the role did sign what was offered, at some time. */
  readonly genuine: boolean;
  readonly by: string;
}

/** A file that is not the one its parent names: a genuine one of another time, or one that was changed on the way. */
function exchanged({ file, bytes, meta, genuine, by }: Exchanged): Refusal | undefined {
  const fits =
    (meta.length === undefined || meta.length === bytes.length) &&
    Object.entries(meta.hashes ?? {}).every(([name, digest]) => digestOf(name, bytes) === digest);
  if (fits) return undefined;
  return genuine ? mixed(file, by) : altered(file, `its bytes are not those that ${by} names`);
}

function digestOf(algorithm: string, bytes: Buffer): string | undefined {
  try {
    return createHash(algorithm).update(bytes).digest("hex");
  } catch {
    // An algorithm that is not known here proves nothing.
    return undefined;
  }
}

function signs(delegator: Metadata<Root> | Metadata<Targets>, role: string, offered: Any | undefined): boolean {
  return offered !== undefined && signatureFault("", delegator, role, offered) === undefined;
}

/** Why the signatures do not reach the threshold; undefined when they do. */
function signatureFault(
  file: string,
  delegator: Metadata<Root> | Metadata<Targets>,
  role: string,
  offered: Any,
): Refusal | undefined {
  try {
    delegator.verifyDelegate(role, offered);
    return undefined;
  } catch {
    // Which of the reasons it was is found below.
  }
  const { keys, role: known } = delegated(delegator, role);
  const keyIds = known?.keyIDs ?? [];
  const good = keyIds.filter((keyId) => verifies(keys[keyId], offered));
  const bad = keyIds.filter((keyId) => offered.signatures[keyId] !== undefined && !good.includes(keyId));
  const unknown = Object.keys(offered.signatures).filter((keyId) => !keyIds.includes(keyId));
  if (bad.length > 0) return altered(file, `the signature by the key ${quoted(bad[0] ?? "")} does not fit it`);
  if (good.length === 0 && unknown.length > 0) {
    return refusal(
      "catalog/key-unknown",
      `The catalog's ${quoted(file)} is signed by a key that has no right to sign ${role} (${unknown.map((id) => quoted(id)).join(", ")}). Someone else wrote it; get the catalog from its owner.`,
      { file, role, keyIds: unknown },
    );
  }
  const threshold = known?.threshold ?? 1;
  return refusal(
    "catalog/too-few-signatures",
    `The catalog's ${quoted(file)} has ${good.length} of the ${threshold} signatures that ${role} needs. It is not finished, or someone who holds too few of the keys wrote it; tell the owner of the catalog.`,
    { file, role, signatures: good.length, threshold },
  );
}

function delegated(delegator: Metadata<Root> | Metadata<Targets>, role: string) {
  const { signed } = delegator;
  if (signed.type === MetadataKind.Root) return { keys: signed.keys, role: signed.roles[role] };
  return { keys: signed.delegations?.keys ?? {}, role: signed.delegations?.roles?.[role] };
}

function verifies(key: Root["keys"][string] | undefined, offered: Any): boolean {
  try {
    key?.verifySignature(offered);
    return key !== undefined;
  } catch {
    // No signature by this key, or one that does not fit.
    return false;
  }
}

function refusal(code: RefusalCode, message: string, details: Record<string, unknown>): Refusal {
  return { code, message, details };
}

function rollback(file: string, how: string): Refusal {
  return refusal(
    "catalog/rollback",
    `The catalog's ${quoted(file)} is an old one played again: ${how}. Nothing was taken; try another mirror, and tell the owner of the catalog.`,
    { file },
  );
}

function frozen(timestamp: Metadata<Timestamp>, now: Date): Refusal {
  const { version, expires } = timestamp.signed;
  return refusal(
    "catalog/frozen",
    `The catalog stands still: its newest timestamp (version ${version}) was good until ${expires}, and it is ${now.toISOString()} here. A mirror holds newer ones back (freeze), the owner stopped renewing, or this machine's clock is wrong.`,
    { file: "timestamp.json", version, expires },
  );
}

function expired(role: string, metadata: Any, now: Date): Refusal {
  const { version, expires } = metadata.signed;
  return refusal(
    "catalog/expired",
    `The catalog's ${role} (version ${version}) expired on ${expires}, and it is ${now.toISOString()} here. Its owner must renew it (\`rebootless repo renew ${role}\`); check this machine's clock as well.`,
    { role, version, expires },
  );
}

function mixed(file: string, by: string): Refusal {
  return refusal(
    "catalog/mixed",
    `The catalog's ${quoted(file)} is genuine but of another time than ${by} names: files of different states were put together (mix-and-match), or a mirror is halfway through copying. Try again, or another mirror.`,
    { file },
  );
}

export function altered(file: string, how: string): Refusal {
  return refusal(
    "catalog/altered",
    `The catalog's ${quoted(file)} was changed on the way: ${how}. Nothing of it was taken; try another mirror.`,
    { file },
  );
}

export function missing(file: string): Refusal {
  return refusal(
    "catalog/incomplete",
    `The catalog has no ${quoted(file)}, although the rest of it names that file. A mirror may be halfway through copying; try again, or another mirror.`,
    { file },
  );
}

function unusable(file: string): Refusal {
  return refusal(
    "catalog/metadata-invalid",
    `The catalog's ${quoted(file)} cannot be used: it is not metadata of the kind that belongs there. Nothing of it was taken; tell the owner of the catalog.`,
    { file },
  );
}

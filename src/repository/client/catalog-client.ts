/**
 * A catalog as a machine that takes hotpatches sees it: followed from a first root that came over another way, and never believed without proof.
 *
 * The TUF client (tuf-js) works in a folder of its own that begins as a copy of what is trusted; what it verified is then put into place file by file, each whole.
 * So an interruption leaves a state that was verified, and two commands at once wait for each other.
 */
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { Metadata, MetadataKind, type TargetFile } from "@tufjs/models";
import { Updater } from "tuf-js";
import tufErrors from "tuf-js/dist/error.js";
import { RebootlessError } from "../../base/errors.ts";
import { limits as hotpatchLimits } from "../../base/limits.ts";
import { quoted } from "../../base/printable.ts";
import { RefusalError, refuse } from "../../base/refusal.ts";
import { createFolder, errnoOf, readRegularFile, writeFileAtomically } from "../../base/stored-file.ts";
import { type CatalogLimits, catalogLimits } from "../catalog-limits.ts";
import { withLock } from "../folder-lock.ts";
import {
  baselineFolder,
  baselinePath,
  catalogFolders,
  hotpatchFolder,
  hotpatchPath,
  idPattern,
  withdrawalPath,
} from "../layout.ts";
import {
  type BaselineFacts,
  readBaselineFacts,
  readFacts,
  readWithdrawal,
  type TargetFacts,
  type Withdrawal,
} from "../target-facts.ts";
import { type CatalogFetch, CatalogFetcher } from "./catalog-fetcher.ts";
import { altered, explain, missing } from "./explain.ts";
import { checkMetadataBytes } from "./metadata-check.ts";

export interface CatalogOptions {
  /** The address of the catalog: `http:`, `https:` or `file:`. */
  readonly address: URL;
  /** Where the metadata that this machine trusts is kept, for this catalog alone. */
  readonly stateFolder: string;
  /** A root metadata file that its owner handed over another way; needed once, and not looked at afterwards. */
  readonly firstRoot?: Uint8Array;
  readonly limits?: Partial<CatalogLimits>;
  /** In the place of fetch(), for a catalog behind certificates. */
  readonly fetch?: CatalogFetch;
}

/** A hotpatch that publishers list. */
export interface CatalogHotpatch {
  /** The target path, such as `hotpatches/ID.hotpatch`. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** What the publisher says of it; undefined where that does not fit the schema. */
  readonly facts: TargetFacts | undefined;
}

/** Everything that publishers list. */
export interface CatalogListing {
  readonly hotpatches: readonly CatalogHotpatch[];
  readonly baselines: readonly BaselineFacts[];
  readonly withdrawn: readonly Withdrawal[];
  /** Of the snapshot: a listing with a lower one is an older one (TUF specification 5.5.5). */
  readonly version: number;
}

/** Versions that are trusted after a refresh. */
export interface TrustedVersions {
  readonly root: number;
  readonly timestamp: number;
  readonly snapshot: number;
  readonly targets: number;
  /** Until when the timestamp is good, as the catalog writes it. */
  readonly expires: string;
}

/** An address from what a user gave: an address with a scheme, or a folder. Throws `usage/arguments`. */
export function catalogAddress(text: string, cwd: string): URL {
  let address = pathToFileURL(path.resolve(cwd, text));
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) {
    if (!URL.canParse(text)) throw new RebootlessError("usage/arguments", `${quoted(text)} is not an address.`);
    address = new URL(text);
  }
  if (!["http:", "https:", "file:"].includes(address.protocol)) {
    throw new RebootlessError("usage/arguments", `${quoted(text)} is neither an http(s) address nor a folder.`);
  }
  if (!address.pathname.endsWith("/")) address.pathname += "/";
  return address;
}

interface Visit {
  readonly updater: Updater;
  readonly fetcher: CatalogFetcher;
  /** Metadata that the TUF client has verified in this visit, or before. */
  readonly folder: string;
}

export class CatalogClient {
  readonly #options: CatalogOptions;
  readonly #limits: CatalogLimits;
  readonly #trusted: string;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#limits = { ...catalogLimits, ...options.limits };
    this.#trusted = path.join(options.stateFolder, "trusted");
  }

  /**
   * Brings the trusted metadata up to date (TUF specification section 5).
   * Refuses with a `catalog/*` code; throws `failure/catalog-unreachable`, `failure/catalog-state`, `failure/file-write` or `repository/busy`.
   */
  async refresh(): Promise<TrustedVersions> {
    return await this.#visit(async ({ folder }) => await trustedVersions(folder));
  }

  /** All hotpatches that the catalog lists, by path. As `refresh`. */
  async hotpatches(): Promise<CatalogHotpatch[]> {
    return [...(await this.listing()).hotpatches];
  }

  /** As `refresh`. What does not fit the schemas is left out, but for hotpatches, which then have no facts. */
  async listing(): Promise<CatalogListing> {
    return await this.#visit(async (visit) => {
      // Asking for any name under them makes the TUF client verify every role that may list one.
      for (const any of [hotpatchPath("any"), baselinePath("any")]) await look(visit, any);
      const targets: TargetFile[] = [];
      for (const name of await listedPaths(visit.folder)) {
        const target = await look(visit, name);
        if (target !== undefined) targets.push(target);
      }
      const { snapshot: version } = await trustedVersions(visit.folder);
      return {
        hotpatches: targets.filter(({ path: name }) => name.endsWith(".hotpatch")).map(described),
        baselines: targets.flatMap(baselineOf),
        withdrawn: targets.flatMap(withdrawalOf),
        version,
      };
    });
  }

  /** Puts a hotpatch into `file`, whole and verified. Refuses with `catalog/hotpatch-unknown` or `catalog/withdrawn` besides; as `refresh`. */
  async download(id: string, file: string): Promise<CatalogHotpatch> {
    return await this.#visit(async (visit) => {
      const target = idPattern.test(id) ? await look(visit, hotpatchPath(id)) : undefined;
      if (target === undefined) {
        if (idPattern.test(id)) await refuseWithdrawn(visit, id);
        refuse(
          "catalog/hotpatch-unknown",
          `The catalog lists no hotpatch ${quoted(id)}; see \`rebootless catalog list\`.`,
          { id },
        );
      }
      if (target.length > hotpatchLimits.hotpatchBytes) {
        refuse(
          "catalog/too-large",
          `The catalog says that ${quoted(target.path)} has ${target.length} bytes; at most ${hotpatchLimits.hotpatchBytes} are read.`,
          { file: target.path },
        );
      }
      await writeFileAtomically(file, await fetchTarget(visit, target), { mode: 0o644, replace: true });
      return described(target);
    });
  }

  /** The root that this machine trusts now: the newest that it has seen, or the first one. */
  async trustedRoot(): Promise<Uint8Array | undefined> {
    const newest = await bytesIfThere(path.join(this.#trusted, "root.json"));
    return newest.length > 0 ? newest : this.#options.firstRoot;
  }

  /**
   * A file of the catalog as it is served, for others who verify it themselves; `undefined` where there is none.
   * `name` is a path inside the catalog that the caller has checked. Throws `failure/catalog-unreachable`; refuses with `catalog/too-large` or `catalog/too-slow`, the latter ones while the pieces are read.
   */
  async publicFile(name: string, maxBytes: number): Promise<AsyncGenerator<Uint8Array> | undefined> {
    const pieces = this.#fetcher(this.#options.stateFolder).stream(name, maxBytes);
    try {
      const first = await pieces.next();
      return (async function* () {
        if (first.done !== true) yield first.value;
        yield* pieces;
      })();
    } catch (error) {
      if (error instanceof tufErrors.DownloadHTTPError) return undefined;
      throw error;
    }
  }

  #fetcher(workFolder: string): CatalogFetcher {
    const { address, fetch } = this.#options;
    return new CatalogFetcher({ base: address, workFolder, limits: this.#limits, fetch });
  }

  async #visit<Result>(work: (visit: Visit) => Promise<Result>): Promise<Result> {
    const { stateFolder } = this.#options;
    await createFolder(this.#trusted, 0o700);
    return await withLock(path.join(stateFolder, "lock"), { waitMs: 60_000 }, async () => {
      await removeWorkFolders(stateFolder);
      let workFolder: string | undefined;
      try {
        workFolder = await mkdtemp(path.join(stateFolder, "work-"));
        return await this.#visitIn(workFolder, work);
      } catch (error) {
        throw writeTrouble(error, stateFolder) ?? error;
      } finally {
        if (workFolder !== undefined) await rm(workFolder, { recursive: true, force: true });
      }
    });
  }

  async #visitIn<Result>(workFolder: string, work: (visit: Visit) => Promise<Result>): Promise<Result> {
    const followed = await this.#begin(workFolder);
    const fetcher = this.#fetcher(workFolder);
    const updater = this.#updater(workFolder, fetcher, followed);
    const visit = { updater, fetcher, folder: workFolder };
    try {
      await asking(visit, () => updater.refresh());
      return await work(visit);
    } finally {
      // What was verified before a refusal counts as well (5.3.8, 5.4.5): it is what later replays are recognised by.
      await this.#keep(workFolder);
    }
  }

  /** Fills the work folder with what is trusted, or with the first root; answers whether the catalog was followed before. */
  async #begin(workFolder: string): Promise<boolean> {
    const names = await readdir(this.#trusted);
    for (const name of names) {
      if (name.endsWith(".json") && !name.startsWith(".")) {
        await copyFile(path.join(this.#trusted, name), path.join(workFolder, name));
      }
    }
    if (names.includes("root.json")) return true;
    const { firstRoot } = this.#options;
    if (firstRoot === undefined) {
      refuse(
        "catalog/no-root",
        "This machine does not know the catalog yet: get its root metadata file from its owner, over a way that you trust, and name it with --root.",
      );
    }
    checkMetadataBytes("the first root", firstRoot, this.#limits);
    await writeFile(path.join(workFolder, "root.json"), firstRoot);
    return false;
  }

  #updater(workFolder: string, fetcher: CatalogFetcher, followed: boolean): Updater {
    const { address } = this.#options;
    const limits = this.#limits;
    try {
      return new Updater({
        metadataDir: workFolder,
        metadataBaseUrl: new URL(catalogFolders.metadata, address).href,
        targetDir: workFolder,
        targetBaseUrl: new URL(catalogFolders.targets, address).href,
        fetcher,
        config: {
          maxRootRotations: limits.rootRotations,
          maxDelegations: limits.delegations,
          rootMaxLength: limits.rootBytes,
          timestampMaxLength: limits.timestampBytes,
          snapshotMaxLength: limits.snapshotBytes,
          targetsMaxLength: limits.targetsBytes,
        },
      });
    } catch (error) {
      if (!followed) {
        throw new RefusalError(
          {
            code: "catalog/metadata-invalid",
            message:
              "The root metadata file that the catalog is to be followed from cannot be used: it is not a root, or its signatures do not fit. Get it again from the catalog's owner.",
          },
          { cause: error },
        );
      }
      throw new RebootlessError(
        "failure/catalog-state",
        `What this machine keeps of the catalog in ${quoted(this.#trusted)} is damaged; remove that folder, and begin again with --root.`,
        { cause: error },
      );
    }
  }

  async #keep(workFolder: string): Promise<void> {
    const names = (await readdir(workFolder)).filter((name) => name.endsWith(".json")).sort(byRole);
    // A first root that has not verified anything yet may be the wrong one, and must not stick.
    if (!names.includes("timestamp.json")) return;
    names.splice(this.#limits.keptFiles);
    for (const name of names) {
      const verified = await readFile(path.join(workFolder, name));
      if (!verified.equals(await bytesIfThere(path.join(this.#trusted, name)))) {
        await writeFileAtomically(path.join(this.#trusted, name), verified, { mode: 0o600, replace: true });
      }
    }
  }
}

/** A disk that is full or may not be written says nothing of the catalog. */
function writeTrouble(error: unknown, folder: string): RebootlessError | undefined {
  const errno = errnoOf(error) ?? "";
  if (!["ENOSPC", "EDQUOT", "EROFS", "EACCES"].includes(errno)) return undefined;
  return new RebootlessError("failure/file-write", `${quoted(folder)} cannot be written: ${errno}.`, { cause: error });
}

/** Runs a part of the TUF client's work, and finds words for its refusal. */
async function asking<Result>({ fetcher, folder }: Visit, work: () => Promise<Result>): Promise<Result> {
  const now = new Date();
  try {
    return await work();
  } catch (error) {
    if (fetcher.stopped !== undefined) throw fetcher.stopped;
    throw writeTrouble(error, folder) ?? (await explain({ error, last: fetcher.last, trustedFolder: folder, now }));
  }
}

async function look(visit: Visit, name: string): Promise<TargetFile | undefined> {
  return await asking(visit, () => visit.updater.getTargetInfo(name));
}

async function fetchTarget({ updater, fetcher, folder }: Visit, target: TargetFile): Promise<Buffer> {
  const file = path.join(folder, "hotpatch");
  try {
    await updater.downloadTarget(target, file);
  } catch (error) {
    if (fetcher.stopped !== undefined) throw fetcher.stopped;
    const trouble = writeTrouble(error, folder);
    if (trouble !== undefined) throw trouble;
    const there = error instanceof Error && !("statusCode" in error);
    const refusal = there
      ? altered(target.path, "its bytes are not those that its publisher signed")
      : missing(target.path);
    throw new RefusalError(refusal, { cause: error });
  }
  return await readRegularFile(file, { what: "hotpatch" });
}

function described(target: TargetFile): CatalogHotpatch {
  const facts = readFacts(target.custom);
  return {
    path: target.path,
    sizeBytes: target.length,
    sha256: target.hashes.sha256 ?? "",
    // Facts that belong to another name would make one hotpatch pass for another.
    facts: facts !== undefined && hotpatchPath(facts.id) === target.path ? facts : undefined,
  };
}

/** What is said under another name than its own counts as not said. */
function baselineOf({ path: name, custom }: TargetFile): BaselineFacts[] {
  const facts = readBaselineFacts(custom);
  return facts !== undefined && baselinePath(facts.baseline.id) === name ? [facts] : [];
}

function withdrawalOf({ path: name, custom }: TargetFile): Withdrawal[] {
  const note = readWithdrawal(custom);
  return note !== undefined && withdrawalPath(note.kind, note.id) === name ? [note] : [];
}

/** Refuses with `catalog/withdrawn` where a note says so. */
async function refuseWithdrawn(visit: Visit, id: string): Promise<void> {
  const note = await look(visit, withdrawalPath("hotpatch", id));
  if (note === undefined) return;
  const [{ at, reason } = { at: "an unknown time", reason: "none is given" }] = withdrawalOf(note);
  refuse("catalog/withdrawn", `${quoted(id)} was withdrawn on ${at}: ${quoted(reason)}`, { id, at, reason });
}

const listed = [hotpatchFolder, baselineFolder] as const;

/** Paths of entries in all targets files that were verified; whether a role may list a path is asked of the TUF client afterwards. */
async function listedPaths(folder: string): Promise<string[]> {
  const paths = new Set<string>();
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".json") || ["root.json", "timestamp.json", "snapshot.json"].includes(name)) continue;
    for (const target of targetPaths(await readFile(path.join(folder, name)))) {
      if (listed.some((folder) => target.startsWith(`${folder}/`))) paths.add(target);
    }
  }
  return [...paths].sort();
}

function targetPaths(bytes: Buffer): string[] {
  try {
    const json = JSON.parse(bytes.toString("utf8"));
    return Object.keys(Metadata.fromJSON(MetadataKind.Targets, json).signed.targets);
  } catch {
    // A role that nobody delegates to any more may lie damaged in the folder; roles that count were read a moment ago.
    return [];
  }
}

async function trustedVersions(folder: string): Promise<TrustedVersions> {
  const read = async (role: string) => JSON.parse((await readFile(path.join(folder, `${role}.json`))).toString("utf8"));
  const [root, timestamp, snapshot, targets] = await Promise.all(
    ["root", "timestamp", "snapshot", "targets"].map(read),
  );
  return {
    root: root.signed.version,
    timestamp: timestamp.signed.version,
    snapshot: snapshot.signed.version,
    targets: targets.signed.version,
    expires: timestamp.signed.expires,
  };
}

/** Top-level roles first, the root before all. */
function byRole(left: string, right: string): number {
  const rank = (name: string) => {
    const place = keptFirst.indexOf(name);
    return place < 0 ? keptFirst.length : place;
  };
  return rank(left) - rank(right) || (left < right ? -1 : 1);
}

const keptFirst: readonly string[] = ["root.json", "timestamp.json", "snapshot.json", "targets.json"];

/** What a command that was killed left behind. */
async function removeWorkFolders(stateFolder: string): Promise<void> {
  for (const name of await readdir(stateFolder)) {
    if (name.startsWith("work-")) await rm(path.join(stateFolder, name), { recursive: true, force: true });
  }
}

async function bytesIfThere(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return Buffer.alloc(0);
    throw new RebootlessError("failure/catalog-state", `${quoted(file)} cannot be read.`, { cause: error });
  }
}

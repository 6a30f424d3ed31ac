/**
 * Hotpatches into the catalog: staged first, then published together.
 *
 * A staged file is published when timestamp.json names it, and only then dropped; so publishing again after an interruption goes on where it ended.
 */
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { writeFileAtomically } from "../../base/stored-file.ts";
import { readHotpatchFile } from "../../hotpatch/hotpatch-file.ts";
import type { OpenedHotpatch } from "../../hotpatch/open-hotpatch.ts";
import { openHotpatch } from "../../hotpatch/open-hotpatch.ts";
import type { TrustStore } from "../../hotpatch/signature.ts";
import { catalogFolders, hotpatchFolder, hotpatchPath } from "../layout.ts";
import type { Release } from "../release-facts.ts";
import { factsOf, readFacts } from "../target-facts.ts";
import { type CatalogState, readState, type TargetJson, targetsOf } from "./catalog-state.ts";
import { idTaken, listAnew, mustNotBeWithdrawn, type StageAnswer } from "./listing.ts";
import { sha256Hex } from "./metadata.ts";
import type { PlannedWrite } from "./plan.ts";
import { exclusively, exists, makeFolders, namesIn, type RepositoryFolder, readSettings } from "./repository-folder.ts";
import { type ChangeOptions, conclude, type Outcome, openSession } from "./session.ts";
import { baselineWrite, freshBaselines, stagedBaselines } from "./staged-baselines.ts";
import { readStagedRelease, stageRelease } from "./staged-releases.ts";
import type { Keyring } from "./tuf-keys.ts";

/** Longer ones give file names, with digest and temporary ending, that file systems do not take (255 bytes). */
const maxIdLength = 160;

/** Who may sign a hotpatch was checked when it was staged; here its structure is. */
const nobodyTrusted: TrustStore = { directory: "", keys: new Map() };

export interface Staged {
  readonly file: string;
  readonly path: string;
  readonly bytes: Buffer;
  readonly opened: OpenedHotpatch;
  /** What the publisher is to say of it; what he said before stays where it is absent. */
  readonly release: Release | undefined;
}

/**
 * Puts a hotpatch that was opened and trusted beside those that the next publish takes.
 * Throws `input/file-unreadable` when the bytes are not those that were opened, and `input/too-large` for an id that no file name holds.
 * Refuses with `repository/id-taken` when the catalog, or another staged file, has the id for other contents.
 */
export async function stageHotpatch(
  repository: RepositoryFolder,
  bytes: Buffer,
  opened: OpenedHotpatch,
  { dryRun, release }: { readonly dryRun: boolean; readonly release?: Release },
): Promise<StageAnswer> {
  const { id } = opened.hotpatch.manifest;
  if (sha256Hex(bytes) !== opened.fileDigest) {
    throw new RebootlessError(
      "input/file-unreadable",
      `The file of ${quoted(id)} changed while it was read; try again when its writer is done.`,
    );
  }
  if (id.length > maxIdLength) {
    throw new RebootlessError(
      "input/too-large",
      `The id ${quoted(id)} has ${id.length} characters; in a catalog it may have ${maxIdLength}. Build the hotpatch with a shorter one.`,
    );
  }
  return await exclusively(repository, async () => {
    await readSettings(repository);
    const state = await readState(repository);
    const published = publishedAs(state, opened);
    if (published === opened.fileDigest && release === undefined) return "published-before";
    const file = path.join(repository.stagedFolder, `${id}.hotpatch`);
    const before = (await exists(file)) ? (await readStagedFile(file)).opened : undefined;
    if (before?.fileDigest === opened.fileDigest && release === undefined) return "staged-before";
    if (before !== undefined && before.digest !== opened.digest) idTaken(id, before.digest);
    if (dryRun) return "staged";
    if (release !== undefined) await stageRelease(repository, id, release);
    await writeFileAtomically(file, bytes, { mode: 0o600, replace: true });
    return "staged";
  });
}

/** SHA-256 of the file that the catalog has for this hotpatch; undefined when it has none. The same contents under other signatures may replace it. */
function publishedAs(state: CatalogState, opened: OpenedHotpatch): string | undefined {
  const { id } = opened.hotpatch.manifest;
  mustNotBeWithdrawn(state, "hotpatch", id);
  const target = targetsOf(state.publishers)[hotpatchPath(id)];
  if (target === undefined) return undefined;
  const digest = readFacts(target.custom)?.digest;
  if (digest !== opened.digest) idTaken(id, digest ?? "unknown");
  return target.hashes.sha256;
}

export async function readStaged(repository: RepositoryFolder): Promise<Staged[]> {
  const names = (await namesIn(repository.stagedFolder)).filter((name) => /^[^.].*\.hotpatch$/.test(name)).sort();
  const staged: Staged[] = [];
  for (const name of names) staged.push(await readStagedFile(path.join(repository.stagedFolder, name)));
  return staged;
}

async function readStagedFile(file: string): Promise<Staged> {
  const bytes = await readHotpatchFile(file);
  const opened = openHotpatch(bytes, nobodyTrusted, { allowUnsigned: true });
  const release = await readStagedRelease(file);
  return { file, path: hotpatchPath(opened.hotpatch.manifest.id), bytes, opened, release };
}

export interface PublishOptions extends ChangeOptions {
  readonly keyring: Keyring;
}

/** Target paths that became visible, and the rest; the plan is empty when nothing was staged. */
export interface Published extends Outcome {
  readonly published: readonly string[];
}

/**
 * Signs what is staged with the publishers' keys and makes it visible.
 * Refuses with `repository/keys-missing`, `repository/id-taken`, or `repository/expired` when no client would accept the result.
 */
export async function publish(repository: RepositoryFolder, options: PublishOptions): Promise<Published> {
  return await exclusively(repository, async () => {
    const session = await openSession(repository, options.now);
    const staged = await readStaged(repository);
    const baselines = await stagedBaselines(repository);
    const listing = targetsOf(session.state.publishers);
    const fresh = staged
      .filter(
        ({ opened, release }) => publishedAs(session.state, opened) !== opened.fileDigest || release !== undefined,
      )
      .map((one) => ({ ...one, target: targetJson(one, listing[one.path]) }));
    const freshBase = freshBaselines(session.state, baselines);
    const drop = [...staged, ...baselines].map(({ file }) => file).flatMap((file) => [file, `${file}.release.json`]);
    if (fresh.length + freshBase.length === 0) {
      const outcome = await conclude(session, { files: [], staged: drop }, options);
      return { ...outcome, published: [] };
    }
    const added = [...fresh, ...freshBase];
    const files = await listAnew(session, options.keyring, (before) => ({
      ...before,
      ...Object.fromEntries(added.map((one) => [one.path, one.target])),
    }));
    // A repository from before there were baselines has no folder for them.
    if (!options.dryRun) await makeFolders(repository);
    const hotpatches = [...fresh.map(hotpatchWrite), ...freshBase.map(baselineWrite)];
    const outcome = await conclude(session, { files, hotpatches, staged: drop }, options);
    return { ...outcome, published: added.map((one) => one.path) };
  });
}

function targetJson({ bytes, opened, release }: Staged, before: TargetJson | undefined): TargetJson {
  const said = release ?? readFacts(before?.custom)?.release;
  return { length: bytes.length, hashes: { sha256: opened.fileDigest }, custom: factsOf(opened, said) };
}

/** Section 6.2: with consistent snapshots the digest stands before the name of a target. */
function hotpatchWrite({ bytes, opened }: Staged): PlannedWrite {
  const name = `${sha256Hex(bytes)}.${opened.hotpatch.manifest.id}.hotpatch`;
  return { name: `${catalogFolders.targets}/${hotpatchFolder}/${name}`, bytes };
}

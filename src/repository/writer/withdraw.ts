/**
 * What is published is changed in two ways: it is said to have come further, or it is taken out.
 *
 * A hotpatch or baseline that is withdrawn leaves the list, and a signed note takes its place: clients learn why, none of them can download it, and its id is never used again.
 */
import { canonicalJson } from "../../base/canonical-json.ts";
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";
import { baselinePath, catalogFolders, type EntryKind, hotpatchPath, withdrawalPath } from "../layout.ts";
import type { Release, ReleaseStage } from "../release-facts.ts";
import { readBaselineFacts, readFacts, type Withdrawal } from "../target-facts.ts";
import { type CatalogState, type TargetJson, targetsOf } from "./catalog-state.ts";
import { listAnew, mustNotBeWithdrawn } from "./listing.ts";
import { sha256Hex } from "./metadata.ts";
import type { PlannedWrite } from "./plan.ts";
import { exclusively, makeFolders, type RepositoryFolder } from "./repository-folder.ts";
import { type ChangeOptions, conclude, type Outcome, openSession } from "./session.ts";
import { stagedBaselineTarget } from "./staged-baselines.ts";
import type { Keyring } from "./tuf-keys.ts";

export interface WithdrawOptions extends ChangeOptions {
  readonly keyring: Keyring;
  readonly id: string;
  readonly reason: string;
}

interface Found {
  readonly kind: EntryKind;
  readonly path: string;
  readonly title: string;
  readonly digest: string;
}

function found(state: CatalogState, id: string): Found {
  const listing = targetsOf(state.publishers);
  for (const [kind, path] of [
    ["hotpatch", hotpatchPath(id)],
    ["baseline", baselinePath(id)],
  ] as const) {
    const target = listing[path];
    if (target === undefined) {
      mustNotBeWithdrawn(state, kind, id);
      continue;
    }
    const facts = readFacts(target.custom) ?? readBaselineFacts(target.custom);
    const title = facts === undefined ? id : "baseline" in facts ? facts.baseline.title : facts.title;
    return { kind, path, title, digest: facts?.digest ?? target.hashes.sha256 };
  }
  return refuse(
    "repository/not-published",
    `The catalog has no hotpatch or baseline ${quoted(id)}; see \`rebootless repo status\`.`,
    { id },
  );
}

/** Takes a hotpatch or a baseline out. Refuses with `repository/not-published` or `repository/withdrawn`, and as `listAnew`. */
export async function withdraw(
  repository: RepositoryFolder,
  { id, reason, keyring, ...options }: WithdrawOptions,
): Promise<Outcome & { readonly withdrawal: Withdrawal }> {
  return await exclusively(repository, async () => {
    const session = await openSession(repository, options.now);
    const { kind, path, title, digest } = found(session.state, id);
    const at = `${options.now.toISOString().slice(0, 19)}Z`;
    const withdrawal: Withdrawal = { schema: "rebootless.catalog-withdrawal/1", kind, id, title, digest, at, reason };
    const bytes = Buffer.from(canonicalJson(withdrawal), "utf8");
    const sha256 = sha256Hex(bytes);
    const note: TargetJson = { length: bytes.length, hashes: { sha256 }, custom: withdrawal };
    const notePath = withdrawalPath(kind, id);
    const files = await listAnew(session, keyring, (before) => {
      const { [path]: _, ...rest } = before;
      return { ...rest, [notePath]: note };
    });
    const name = notePath.replace("/", `/${sha256}.`);
    const write: PlannedWrite = { name: `${catalogFolders.targets}/${name}`, bytes };
    if (!options.dryRun) await makeFolders(repository);
    return { ...(await conclude(session, { files, hotpatches: [write] }, options)), withdrawal };
  });
}

export interface StageOptions extends ChangeOptions {
  readonly keyring: Keyring;
  readonly id: string;
  readonly stage: ReleaseStage;
  /** What is said of a hotpatch of which nothing was said before. */
  readonly otherwise: Release;
}

/** Says that a release has come to another stage. Refuses as `withdraw`. */
export async function restage(
  repository: RepositoryFolder,
  { id, stage, otherwise, keyring, ...options }: StageOptions,
): Promise<Outcome> {
  return await exclusively(repository, async () => {
    const session = await openSession(repository, options.now);
    const { path } = found(session.state, id);
    const target = targetsOf(session.state.publishers)[path] as TargetJson;
    const baseline = readBaselineFacts(target.custom)?.baseline;
    const writes: PlannedWrite[] = [];
    let next: TargetJson;
    if (baseline === undefined) {
      const facts = readFacts(target.custom);
      next = { ...target, custom: { ...facts, release: { ...(facts?.release ?? otherwise), stage } } };
    } else {
      const one = stagedBaselineTarget({ ...baseline, release: { ...baseline.release, stage } });
      next = one.target;
      writes.push(one.write);
    }
    const files = await listAnew(session, keyring, (before) => ({ ...before, [path]: next }));
    return await conclude(session, { files, hotpatches: writes }, options);
  });
}

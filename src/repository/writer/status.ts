/** What a repository says, how long it is valid, and what needs a hand. Changes nothing and takes no lock. */
import { publishersRole, type RoleName, roles } from "../layout.ts";
import type { ReleaseStage } from "../release-facts.ts";
import { readBaselineFacts, readFacts, readWithdrawal, type Withdrawal } from "../target-facts.ts";
import { type CatalogState, delegatorOf, readState, roleKeys, targetsOf, unsignedRoles } from "./catalog-state.ts";
import { keysIn } from "./metadata.ts";
import { readStaged } from "./publish.ts";
import { type RepositoryFolder, readSettings, type Settings } from "./repository-folder.ts";
import { shownId } from "./session.ts";
import { stagedBaselines } from "./staged-baselines.ts";
import { Keyring } from "./tuf-keys.ts";

export type Validity = "valid" | "soon" | "expired";

export interface RoleStatus {
  readonly role: RoleName;
  readonly version: number;
  readonly expires: string;
  /** Negative once it has expired. */
  readonly daysLeft: number;
  readonly validity: Validity;
  readonly threshold: number;
  /** Ids as `rebootless key show` tells them. */
  readonly keys: readonly string[];
}

export interface PublishedHotpatch {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly id: string | null;
  readonly sequence: number | null;
  readonly title: string | null;
  /** How far its release has come; null where the publisher does not say. */
  readonly stage: ReleaseStage | null;
}

export interface PublishedBaseline {
  readonly id: string;
  readonly title: string;
  readonly month: string;
  readonly stage: ReleaseStage;
}

export interface RepositoryStatus {
  readonly folder: string;
  readonly roles: readonly RoleStatus[];
  readonly hotpatches: readonly PublishedHotpatch[];
  readonly baselines: readonly PublishedBaseline[];
  readonly withdrawn: readonly Withdrawal[];
  /** Ids that wait for the next publish. */
  readonly staged: readonly string[];
  /** What a person must see to, each a sentence with what helps; empty when all is well. */
  readonly problems: readonly string[];
}

const dayMs = 86_400_000;

/** Throws `repository/missing` or `repository/damaged`. */
export async function repositoryStatus(repository: RepositoryFolder, now: Date): Promise<RepositoryStatus> {
  const settings = await readSettings(repository);
  const state = await readState(repository);
  const staged = await readStaged(repository);
  const roleStatuses = roles.map((role) => roleStatus(state, role, { now, settings }));
  return {
    folder: repository.folder,
    roles: roleStatuses,
    ...publishedIn(state),
    staged: [
      ...staged.map(({ opened }) => opened.hotpatch.manifest.id),
      ...(await stagedBaselines(repository)).map(({ baseline }) => baseline.id),
    ],
    problems: [
      ...roleStatuses.flatMap(expiryProblem),
      ...unsignedRoles(state).map(
        (role) => `${role} is not signed by enough of its keys; run rebootless repo renew ${role} with them.`,
      ),
      ...(await onlineProblems(repository, state)),
    ],
  };
}

function publishedIn(state: CatalogState): Pick<RepositoryStatus, "hotpatches" | "baselines" | "withdrawn"> {
  const entries = Object.entries(targetsOf(state.publishers));
  return {
    hotpatches: entries
      .filter(([path]) => path.endsWith(".hotpatch"))
      .map(([path, target]) => {
        const { id = null, sequence = null, title = null, release } = readFacts(target.custom) ?? {};
        const { length: sizeBytes, hashes } = target;
        return { path, sizeBytes, sha256: hashes.sha256, id, sequence, title, stage: release?.stage ?? null };
      }),
    baselines: entries.flatMap(([, { custom }]) => {
      const { id, title, release } = readBaselineFacts(custom)?.baseline ?? {};
      if (id === undefined || title === undefined || release === undefined) return [];
      return [{ id, title, month: release.month, stage: release.stage }];
    }),
    withdrawn: entries.flatMap(([, { custom }]) => readWithdrawal(custom) ?? []),
  };
}

interface Moment {
  readonly now: Date;
  readonly settings: Settings;
}

function roleStatus(state: CatalogState, role: RoleName, { now, settings }: Moment): RoleStatus {
  const { version, expires } = state[role];
  const leftMs = Date.parse(expires) - now.getTime();
  // A third of the whole term is what is left to renew in before it hurts.
  const soonMs = (settings.expiryDays[role] * dayMs) / 3;
  const keys = roleKeys(state, role);
  const known = keysIn(delegatorOf(state, role));
  return {
    role,
    version,
    expires,
    daysLeft: Math.floor((leftMs / dayMs) * 10) / 10,
    validity: leftMs <= 0 ? "expired" : leftMs < soonMs ? "soon" : "valid",
    threshold: keys.threshold,
    keys: keys.keyids.map((tufId) => shownId(known.get(tufId), tufId)),
  };
}

function expiryProblem({ role, validity, expires, daysLeft }: RoleStatus): string[] {
  if (validity === "valid") return [];
  const offline = role === "root" || role === "targets" || role === publishersRole;
  const help = `run rebootless repo renew ${role}${offline ? " --keys FOLDER" : ""}.`;
  return validity === "expired"
    ? [`${role} expired on ${expires}, and clients refuse the catalog; ${help}`]
    : [`${role} expires in ${daysLeft} days, on ${expires}; ${help}`];
}

async function onlineProblems(repository: RepositoryFolder, state: CatalogState): Promise<string[]> {
  const online = await Keyring.open([repository.onlineKeys], undefined);
  return (["snapshot", "timestamp"] as const)
    .filter((role) => !roleKeys(state, role).keyids.some((tufId) => online.has(tufId)))
    .map((role) => `The private key of ${role} is not in private/keys; bring it back from a backup, or rotate it.`);
}

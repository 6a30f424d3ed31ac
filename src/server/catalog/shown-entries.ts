/** Entries of the catalog as the contract has them. */
import type { Baseline, Release, Withdrawal } from "../../api/schemas/catalog.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import type { CatalogHotpatch } from "../../repository/client/catalog-client.ts";
import { type Release as SignedRelease, severities } from "../../repository/release-facts.ts";
import type { BaselineFacts, Withdrawal as SignedWithdrawal } from "../../repository/target-facts.ts";

/** What counts where a publisher says nothing. */
function silentRelease(): Release {
  return {
    ...{ stage: "general", channel: "hotpatch", cadence: "monthly", month: null, availableAt: null },
    ...{ build: null, baseline: null, track: "keeps", restart: "none", ratings: [] },
  };
}

function shownRelease(release: SignedRelease | undefined): Release {
  if (release === undefined) return silentRelease();
  const { availableAt = null, build = null, baseline = null, ratings, ...rest } = release;
  const shown = ratings.map(({ cvss, ...rating }) =>
    cvss === undefined ? rating : { ...rating, cvss: { vector: cvss.vector, score: Number(cvss.score) } },
  );
  return { ...rest, availableAt, build, baseline, ratings: shown };
}

type Advisories = readonly { readonly id: string; readonly severity?: string }[];

/** The worst of what the author and the publisher signed. */
function danger(advisories: Advisories, { ratings }: Release): Pick<Hotpatch, "severity" | "score" | "exploited"> {
  const words = [...advisories, ...ratings].flatMap(({ severity }) => severity ?? []);
  const worst = severities.toReversed().find((severity) => words.includes(severity)) ?? null;
  const scores = ratings.flatMap(({ cvss }) => cvss?.score ?? []);
  return {
    severity: worst,
    score: scores.length === 0 ? null : Math.max(...scores),
    exploited: ratings.some(({ exploited }) => exploited === true),
  };
}

/** A hotpatch without facts that fit the schema cannot be told from another, and is left out. */
export function shownHotpatch({ facts, sizeBytes }: CatalogHotpatch): Hotpatch[] {
  if (facts === undefined) return [];
  const { schema: _, release: signed, ...rest } = facts;
  const release = shownRelease(signed);
  return [{ ...rest, sizeBytes, release, ...danger(facts.advisories, release) }];
}

export function shownBaseline({ baseline }: BaselineFacts): Baseline {
  const { schema: _, description = null, system, requires, advisories, release: signed, ...rest } = baseline;
  const release = shownRelease(signed);
  return {
    ...rest,
    description,
    system: { id: system.id, version: system.version ?? null, architecture: system.architecture ?? null },
    requires: {
      packages: requires.packages ?? {},
      kernel: requires.kernel ?? null,
      build: requires.build ?? null,
    },
    advisories: advisories.map(({ id, severity }) => (severity === undefined ? { id } : { id, severity })),
    release,
    ...danger(advisories, release),
  };
}

export function shownWithdrawal({ kind, id, title, at, reason }: SignedWithdrawal): Withdrawal {
  return { kind, id, title, at, reason };
}

/**
 * What publishers say of a release beside what its author signed: how far it has come, on which channel, for which month, how bad the holes are that it closes.
 *
 * It stands in the signed list and not in the file, so that a preview becomes general without another file.
 */
import { type Static, Type } from "typebox";
import { checkSchema } from "../base/schema-check.ts";
import { ratingProblem } from "./cvss.ts";

const closed = { additionalProperties: false } as const;

/** In the order in which a release passes through them. */
export const releaseStages = ["preview", "general", "expanded"] as const;
export type ReleaseStage = (typeof releaseStages)[number];
/** `hotpatch`: into running programs. `standard`: packages, and a restart. */
export const releaseChannels = ["hotpatch", "standard"] as const;
export type ReleaseChannel = (typeof releaseChannels)[number];
export const releaseCadences = ["monthly", "outOfBand"] as const;
export const severities = ["low", "moderate", "high", "critical"] as const;
export type Severity = (typeof severities)[number];

const oneOf = <const Words extends readonly string[]>(list: Words) => Type.Unsafe<Words[number]>(Type.Enum([...list]));

export const ServicingMonth = Type.String({ pattern: "^[0-9]{4}-(0[1-9]|1[0-2])$" });
export const Day = Type.String({ pattern: "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$" });
export const EntryId = Type.String({ minLength: 1, maxLength: 160, pattern: "^[0-9A-Za-z][0-9A-Za-z._@+-]*$" });
export const AdvisoryId = Type.String({ minLength: 1, maxLength: 64, pattern: "^[0-9A-Za-z-]+$" });

/** Of one advisory that the release closes. */
export const Rating = Type.Object(
  {
    id: AdvisoryId,
    severity: Type.Optional(oneOf(severities)),
    /** Vector and score belong together; they are checked against each other (src/repository/cvss.ts). */
    cvss: Type.Optional(
      Type.Object(
        {
          vector: Type.String({ minLength: 1, maxLength: 400, pattern: "^[A-Za-z0-9:./]+$" }),
          /** As text, such as `9.8`: the canonical JSON that TUF signs has no fractions. */
          score: Type.String({ pattern: "^(10\\.0|[0-9]\\.[0-9])$" }),
        },
        closed,
      ),
    ),
    /** Known to be used against somebody. */
    exploited: Type.Optional(Type.Boolean()),
  },
  closed,
);
export type Rating = Static<typeof Rating>;

export const Release = Type.Object(
  {
    stage: oneOf(releaseStages),
    channel: oneOf(releaseChannels),
    cadence: oneOf(releaseCadences),
    /** The month of the servicing calendar that it belongs to. */
    month: ServicingMonth,
    availableAt: Type.Optional(Day),
    build: Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: "^[0-9A-Za-z.+~:_-]+$" })),
    /** For a hotpatch: the baseline that it builds on. */
    baseline: Type.Optional(EntryId),
    /** Whether a device that takes it gets the hotpatches of the following months; `leaves` only until the next baseline. */
    track: oneOf(["keeps", "leaves"]),
    restart: oneOf(["none", "required"]),
    ratings: Type.Array(Rating, { maxItems: 1000 }),
  },
  closed,
);
export type Release = Static<typeof Release>;

/** What a hotpatch says of itself where its publisher says nothing. */
export function silentRelease(month: string): Release {
  return {
    stage: "general",
    channel: "hotpatch",
    cadence: "monthly",
    month,
    track: "keeps",
    restart: "none",
    ratings: [],
  };
}

/** The same with scores that people wrote as numbers told as text. */
export function withTextScores(release: unknown): unknown {
  const { ratings } = Object(release) as { readonly ratings?: unknown };
  if (!Array.isArray(ratings)) return release;
  const told = ratings.map((rating: unknown) => {
    const { cvss } = Object(rating) as { readonly cvss?: { readonly score?: unknown } };
    const score = cvss?.score;
    return typeof score === "number" ? { ...Object(rating), cvss: { ...cvss, score: score.toFixed(1) } } : rating;
  });
  return { ...Object(release), ratings: told };
}

/** Checks a release that somebody wrote; hands the first thing that is wrong to `fail`. */
export function checkRelease(value: unknown, fail: (problem: string) => never): Release {
  const release = checkSchema(Release, value, ({ field, problem }) => fail(`${field} ${problem}`));
  for (const { id, cvss } of release.ratings) {
    const problem = cvss === undefined ? undefined : ratingProblem({ ...cvss, score: Number(cvss.score) });
    if (problem !== undefined) fail(`the rating of ${id}: ${problem}`);
  }
  if (new Set(release.ratings.map(({ id }) => id)).size < release.ratings.length) fail("one advisory is rated twice");
  return release;
}

/**
 * What a catalog says of each entry without its being downloaded: the `custom` object of a target (TUF specification section 4.5).
 *
 * Of a hotpatch, of a baseline, or of what was withdrawn.
 * Written from the manifest of a hotpatch that was opened; a reader checks it against the schema, since publishers sign what they like.
 */
import { type Static, type TSchema, Type } from "typebox";
import { checkSchema, type SchemaFault } from "../base/schema-check.ts";
import { ElfBinary } from "../hotpatch/elf-manifest.ts";
import { Manifest, Target } from "../hotpatch/manifest.ts";
import type { OpenedHotpatch } from "../hotpatch/open-hotpatch.ts";
import { Baseline } from "./baseline.ts";
import { EntryId, Release } from "./release-facts.ts";

const closed = { additionalProperties: false } as const;
const { id, sequence, title } = Manifest.properties;

/** Names of functions are for people, and the rest of a long list is counted; the hotpatch itself has them all. */
const shownFunctions = 24;
const shownCharacters = 120;
const { buildId, name } = ElfBinary.properties;

const TargetBinary = Type.Object(
  {
    name,
    buildId,
    functions: Type.Array(
      Type.Object(
        { name: Type.String({ maxLength: shownCharacters }), sizeBytes: Type.Integer({ minimum: 1 }) },
        closed,
      ),
      { maxItems: shownFunctions },
    ),
    /** How many there are in all. */
    functionCount: Type.Integer({ minimum: 1, maximum: 10_000 }),
  },
  closed,
);

const Digest = Type.String({ pattern: "^[0-9a-f]{64}$" });

export const TargetFacts = Type.Object(
  {
    schema: Type.Literal("rebootless.catalog-hotpatch/1"),
    id,
    sequence,
    title,
    /** As in the manifest, without the summaries. */
    advisories: Type.Array(
      Type.Object(
        {
          id: Type.String({ minLength: 1, maxLength: 64, pattern: "^[0-9A-Za-z-]+$" }),
          severity: Type.Optional(Type.String({ maxLength: 16 })),
        },
        closed,
      ),
      { maxItems: 1000 },
    ),
    target: Target,
    /** For a native hotpatch: the binaries that it changes, by which a machine is told from one that it is not for. */
    binaries: Type.Optional(Type.Array(TargetBinary, { maxItems: 64 })),
    supersedes: Type.Array(Type.String({ maxLength: 200 }), { maxItems: 1000 }),
    /** SHA-256 of the signed manifest: the digest of the hotpatch, whoever signed it. */
    digest: Digest,
    /** What the publisher says of it; general, monthly and on the channel of hotpatches where he says nothing. */
    release: Type.Optional(Release),
  },
  closed,
);
export type TargetFacts = Static<typeof TargetFacts>;

export const BaselineFacts = Type.Object(
  {
    schema: Type.Literal("rebootless.catalog-baseline/1"),
    baseline: Baseline,
    /** SHA-256 of the baseline's file. */
    digest: Digest,
  },
  closed,
);
export type BaselineFacts = Static<typeof BaselineFacts>;

/** What stands in the place of an entry that was taken out: its id is never used again. */
export const Withdrawal = Type.Object(
  {
    schema: Type.Literal("rebootless.catalog-withdrawal/1"),
    kind: Type.Union([Type.Literal("hotpatch"), Type.Literal("baseline")]),
    id: EntryId,
    title,
    /** Of what was withdrawn. */
    digest: Digest,
    /** RFC 3339, in UTC. */
    at: Type.String({ pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$" }),
    reason: Type.String({ minLength: 1, maxLength: 2000 }),
  },
  closed,
);
export type Withdrawal = Static<typeof Withdrawal>;

export function factsOf(
  { hotpatch: { manifest }, digest }: Pick<OpenedHotpatch, "hotpatch" | "digest">,
  release?: Release,
): TargetFacts {
  return {
    schema: "rebootless.catalog-hotpatch/1",
    id: manifest.id,
    sequence: manifest.sequence,
    title: manifest.title,
    advisories: manifest.advisories.map(({ id, severity }) => (severity === undefined ? { id } : { id, severity })),
    target: manifest.target,
    ...(manifest.elf === undefined ? {} : { binaries: manifest.elf.binaries.map(shownBinary) }),
    supersedes: manifest.supersedes,
    digest,
    ...(release === undefined ? {} : { release }),
  };
}

function shownBinary({ name, buildId, functions }: ElfBinary): Static<typeof TargetBinary> {
  const shown = functions.slice(0, shownFunctions).map((one) => ({ ...one, name: one.name.slice(0, shownCharacters) }));
  return {
    name,
    buildId,
    functions: shown.map(({ name, sizeBytes }) => ({ name, sizeBytes })),
    functionCount: functions.length,
  };
}

/** The facts in a `custom` object of a hotpatch; undefined when they do not fit the schema. As the two below. */
export function readFacts(custom: unknown): TargetFacts | undefined {
  return fitting(TargetFacts, custom);
}

export function readBaselineFacts(custom: unknown): BaselineFacts | undefined {
  return fitting(BaselineFacts, custom);
}

export function readWithdrawal(custom: unknown): Withdrawal | undefined {
  return fitting(Withdrawal, custom);
}

function fitting<Schema extends TSchema>(schema: Schema, custom: unknown): Static<Schema> | undefined {
  class Unfit extends Error {}
  try {
    return checkSchema(schema, custom, ({ field, problem }: SchemaFault) => {
      throw new Unfit(`${field} ${problem}`);
    });
  } catch (error) {
    if (error instanceof Unfit) return undefined;
    throw error;
  }
}

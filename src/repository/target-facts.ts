/**
 * What a catalog says of each hotpatch without its being downloaded: the `custom` object of a target (TUF specification section 4.5).
 *
 * Written from the manifest of a hotpatch that was opened; a reader checks it against the schema, since publishers sign what they like.
 */
import { type Static, Type } from "typebox";
import { checkSchema, type SchemaFault } from "../base/schema-check.ts";
import { ElfBinary } from "../hotpatch/elf-manifest.ts";
import { Manifest, Target } from "../hotpatch/manifest.ts";
import type { OpenedHotpatch } from "../hotpatch/open-hotpatch.ts";

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
    digest: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  },
  closed,
);
export type TargetFacts = Static<typeof TargetFacts>;

export function factsOf({ hotpatch: { manifest }, digest }: Pick<OpenedHotpatch, "hotpatch" | "digest">): TargetFacts {
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

/** The facts in a `custom` object; undefined when they do not fit the schema. */
export function readFacts(custom: unknown): TargetFacts | undefined {
  class Unfit extends Error {}
  try {
    return checkSchema(TargetFacts, custom, ({ field, problem }: SchemaFault) => {
      throw new Unfit(`${field} ${problem}`);
    });
  } catch (error) {
    if (error instanceof Unfit) return undefined;
    throw error;
  }
}

/**
 * What a catalog says of each hotpatch without its being downloaded: the `custom` object of a target (TUF specification section 4.5).
 *
 * Written from the manifest of a hotpatch that was opened; a reader checks it against the schema, since publishers sign what they like.
 */
import { type Static, Type } from "typebox";
import { checkSchema, type SchemaFault } from "../base/schema-check.ts";
import { Manifest, Target } from "../hotpatch/manifest.ts";
import type { OpenedHotpatch } from "../hotpatch/open-hotpatch.ts";

const closed = { additionalProperties: false } as const;
const { id, sequence, title } = Manifest.properties;

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
    supersedes: manifest.supersedes,
    digest,
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

/**
 * A baseline: what a restart brings a machine to, as a document that publishers sign.
 *
 * It says which systems it is for and what such a machine must have to be on it; the packages themselves come from the distribution.
 */
import { type Static, Type } from "typebox";
import { canonicalJson, checkJsonBounds } from "../base/canonical-json.ts";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { checkSchema } from "../base/schema-check.ts";
import { Advisory, Manifest } from "../hotpatch/manifest.ts";
import { checkRelease, EntryId, Release, withTextScores } from "./release-facts.ts";

const closed = { additionalProperties: false } as const;
const Version = Type.String({ minLength: 1, maxLength: 128, pattern: "^[0-9A-Za-z.+~:_-]+$" });
const Word = Type.String({ minLength: 1, maxLength: 64, pattern: "^[0-9A-Za-z._-]+$" });

export const baselineLimits = { bytes: 256 * 1024, packages: 512 } as const;

const bounds = { maxDepth: 8, maxElements: 8192, maxStringBytes: 32 * 1024 } as const;

export const Baseline = Type.Object(
  {
    schema: Type.Literal("rebootless.baseline/1"),
    id: EntryId,
    title: Manifest.properties.title,
    description: Type.Optional(Type.String({ maxLength: 4000 })),
    /** The machines that it is for: `os.id`, `os.version` and `cpu.architecture` of docs/facts.md. */
    system: Type.Object({ id: Word, version: Type.Optional(Word), architecture: Type.Optional(Word) }, closed),
    /** Not in a baseline month, because a fix could not be a hotpatch. */
    unplanned: Type.Boolean(),
    /** A machine is on it when all of this holds of its facts. */
    requires: Type.Object(
      {
        /** The oldest version of each package that will do, where the package is installed (deb-version(7)). */
        packages: Type.Optional(
          Type.Record(Type.String({ pattern: "^[0-9a-z][0-9a-z.+:-]{0,127}$" }), Version, {
            ...closed,
            maxProperties: baselineLimits.packages,
          }),
        ),
        /** The oldest kernel that may run. */
        kernel: Type.Optional(Version),
        /** The oldest build of the image, or point release (`os.build`). */
        build: Type.Optional(Version),
      },
      { ...closed, minProperties: 1 },
    ),
    advisories: Type.Array(Advisory, { maxItems: 1000 }),
    supersedes: Type.Array(EntryId, { maxItems: 1000 }),
    release: Release,
  },
  closed,
);
export type Baseline = Static<typeof Baseline>;

/** Reads a baseline that an author wrote. Throws `input/json-invalid` or `input/too-large`. */
export function readBaseline(bytes: Buffer, name: string): Baseline {
  if (bytes.length > baselineLimits.bytes) {
    throw new RebootlessError(
      "input/too-large",
      `${quoted(name)} has ${bytes.length} bytes; a baseline may have ${baselineLimits.bytes}.`,
    );
  }
  const fail = (problem: string): never => {
    throw new RebootlessError("input/json-invalid", `${quoted(name)} is not a baseline: ${problem}.`);
  };
  let value: unknown;
  try {
    checkJsonBounds(bytes, bounds);
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    fail(error instanceof RebootlessError ? error.message : "it is not JSON");
  }
  const { release } = Object(value) as { readonly release?: unknown };
  return checkBaseline(release === undefined ? value : { ...Object(value), release: withTextScores(release) }, fail);
}

export function checkBaseline(value: unknown, fail: (problem: string) => never): Baseline {
  const baseline = checkSchema(Baseline, value, ({ field, problem }) => fail(`${field} ${problem}`));
  checkRelease(baseline.release, fail);
  if (baseline.release.baseline !== undefined) fail("/release/baseline is for hotpatches");
  if (baseline.release.channel !== "standard") fail("/release/channel must be standard");
  return baseline;
}

/** One form for one content, so that its digest names it. */
export function baselineBytes(baseline: Baseline): Buffer {
  return Buffer.from(canonicalJson(baseline), "utf8");
}

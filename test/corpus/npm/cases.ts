/** The cases of a corpus folder: which package, which versions, which hole. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export interface CorpusCase {
  readonly id: string;
  readonly package: string;
  readonly vulnerable: string;
  readonly fixed: string;
  /** Such as CVE-2021-23337; empty where the hole has no number. */
  readonly cve: string;
  /** To be loaded by `import()` rather than by `require`. */
  readonly esm: boolean;
}

export interface Corpus {
  readonly folder: string;
  readonly cases: readonly CorpusCase[];
}

const checkout = resolve(import.meta.dirname, "..", "..", "..");

/** The corpus that the caller or REBOOTLESS_CORPUS names, or the one beside the checkout. */
export function corpusFolder(named: string | undefined = process.env.REBOOTLESS_CORPUS): string {
  return named === undefined || named === "" ? resolve(checkout, "../shared/corpus/npm") : resolve(named);
}

export function corpusExists(folder: string): boolean {
  return existsSync(join(folder, "cases.json")) && existsSync(join(folder, "probes.cjs"));
}

export function readCorpus(folder: string): Corpus {
  const cases: unknown = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"));
  if (!Array.isArray(cases)) throw new Error(`${join(folder, "cases.json")} is not a list of cases`);
  return { folder, cases: cases.map(readCase) };
}

function readCase(value: Record<string, unknown>, index: number): CorpusCase {
  const field = (name: string, pattern: RegExp): string => {
    const text = value[name];
    if (typeof text === "string" && pattern.test(text)) return text;
    throw new Error(`case ${index + 1} of the corpus has no usable ${name}: ${JSON.stringify(text)}`);
  };
  return {
    // The id becomes a part of a package's alias and of file names.
    id: field("id", /^[a-z0-9][a-z0-9._-]*$/),
    package: field("package", /^(@[^/\s]+\/)?[^/\s]+$/),
    vulnerable: field("vulnerable", /^[0-9]\S*$/),
    fixed: field("fixed", /^[0-9]\S*$/),
    cve: typeof value.cve === "string" ? value.cve : "",
    esm: value.esm === true || value.esm === 1,
  };
}

/** Those with the given ids, in the order of the corpus; an id that is not there is an error. */
export function onlyCases(cases: readonly CorpusCase[], ids: readonly string[]): readonly CorpusCase[] {
  const unknown = ids.find((id) => !cases.some((one) => one.id === id));
  if (unknown !== undefined) throw new Error(`the corpus has no case ${unknown}`);
  return cases.filter(({ id }) => ids.includes(id));
}

/** A spread over the whole list that is the same in each run, with the first and the last case in it. */
export function sampleCases(cases: readonly CorpusCase[], count: number): readonly CorpusCase[] {
  if (count >= cases.length) return cases;
  const step = count > 1 ? (cases.length - 1) / (count - 1) : 0;
  return Array.from({ length: count }, (_, index) => cases[Math.round(index * step)] as CorpusCase);
}

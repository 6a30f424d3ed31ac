/**
 * Expressions over devices, in the Common Expression Language, for groups, policies, holds and searches.
 *
 * `compileFilter` checks an expression against the catalog of facts; what it answers can be evaluated any number of times.
 * A fact that is missing makes the condition on it neither true nor false: `||` and `&&` go by the other side where that decides, and what stays open does not hold.
 */
import { RE2JS } from "@bufbuild/re2";
import { TypeError as CelTypeError, Environment, EvaluationError, ParseError } from "@marcbachmann/cel-js";
import { singleFacts } from "../api/fact-catalog.ts";
import type { Facts, FactValue } from "../api/schemas/devices.ts";
import { RebootlessError } from "../base/errors.ts";
import { compareDebianVersions } from "./debian-version.ts";
import { filterFault } from "./filter-faults.ts";
import { filterLimits } from "./filter-limits.ts";
import { allNames, type FilterUse, likeliest, type Names, namesFor } from "./filter-names.ts";
import { inspectFilter, linearMatches } from "./inspect-filter.ts";

/** A device as expressions see it. Of the facts, only those that the filter `asks` for are needed. */
export interface FilterDevice {
  readonly id: string;
  readonly name: string;
  readonly enrolledAtMs: number;
  readonly tags: readonly string[];
  readonly facts: Facts;
  /** For searches. */
  readonly state?: string;
  readonly lastSeenAtMs?: number | null;
  readonly groups?: readonly string[];
}

/** `unknown` does not hold either: `missing` facts, or a value that `why` tells of, left it open. */
export type FilterOutcome =
  | { readonly kind: "holds" }
  | { readonly kind: "fails" }
  | { readonly kind: "unknown"; readonly missing: readonly string[]; readonly why: string };

export interface Filter {
  readonly text: string;
  /** Names of facts, of the catalog. */
  readonly facts: ReadonlySet<string>;
  /** It asks for the family `binary.BUILDID`. */
  readonly asksBinaries: boolean;
  /** What it asks for besides facts: `tags`, `groups`, `device.name` and the like. */
  readonly others: ReadonlySet<string>;
  /** The worst case, as it was counted. */
  readonly steps: number;
  evaluate(device: FilterDevice): FilterOutcome;
}

const { characters, parts, depth, elements } = filterLimits;

export function environmentFor(names: Names): Environment {
  const environment = new Environment({
    limits: {
      maxAstNodes: parts,
      maxDepth: depth,
      maxListElements: elements,
      maxMapEntries: elements,
      maxCallArguments: 4,
    },
  });
  for (const [name, type] of names) {
    if (typeof type === "string") environment.registerVariable(name, type);
    else environment.registerVariable({ name, schema: Object.fromEntries(type) });
  }
  const patterns = new Map<string, RE2JS>();
  environment.registerFunction(`string.${linearMatches}(string): bool`, (value: string, pattern: string) => {
    const known = patterns.get(pattern) ?? RE2JS.compile(pattern);
    if (patterns.size >= 256) patterns.clear();
    patterns.set(pattern, known);
    return known.test(value);
  });
  environment.registerFunction(
    "string.olderThan(string): bool",
    (left: string, right: string) => compareDebianVersions(left, right) < 0,
  );
  return environment;
}

const environments = new Map<FilterUse, { names: Names; environment: Environment }>();

function environmentOf(use: FilterUse): { names: Names; environment: Environment } {
  const known = environments.get(use);
  if (known !== undefined) return known;
  const names = namesFor(use);
  const made = { names, environment: environmentFor(names) };
  environments.set(use, made);
  return made;
}

/** Compiled filters are kept by their text: groups are evaluated at each change of a fact. */
const compiled = new Map<string, Filter>();
const compiledFilters = 1_000;

/** Throws `request/filter`, which points at the place and says what exists. */
export function compileFilter(text: string, use: FilterUse): Filter {
  const key = `${use} ${text}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const filter = compile(text, use);
  if (compiled.size >= compiledFilters) compiled.clear();
  compiled.set(key, filter);
  return filter;
}

function compile(text: string, use: FilterUse): Filter {
  const { names, environment } = environmentOf(use);
  const { expression, asked, steps } = checkedExpression(text, names, environment);
  const facts = new Set([...asked].filter((name) => singleFacts.has(name)));
  const others = new Set([...asked].filter((name) => names.has(name.split(".")[0] ?? "") && !facts.has(name)));
  const asksBinaries = others.delete("binary");
  return {
    ...{ text, facts, others, asksBinaries, steps },
    evaluate: (device) => evaluate(expression, { facts, asksBinaries }, device),
  };
}

/** A condition that uses only these names, within the limits. Throws `request/filter`. */
export function checkedExpression(text: string, names: Names, environment: Environment) {
  if (text.length > characters)
    throw filterFault(text, undefined, `An expression has at most ${characters} characters.`);
  const expression = attempt(text, names, () => environment.parse(text));
  const { names: asked, steps } = inspectFilter(text, expression.ast, names);
  const { valid, type, error } = expression.check();
  if (!valid) throw told(text, names, error);
  if (type !== "bool") {
    throw filterFault(
      text,
      undefined,
      `An expression has to be a condition, and this one gives ${type}; compare it with something.`,
    );
  }
  return { expression, asked, steps };
}

function attempt<Result>(text: string, names: Names, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw told(text, names, error);
  }
}

/** The library's words, with what exists where a name is wrong. */
function told(text: string, names: Names, error: unknown): unknown {
  if (error instanceof RebootlessError) return error;
  if (!(error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError)) return error;
  const { code, summary, range } = error as { code?: string; summary?: string; range?: { start: number; end: number } };
  const message = summary ?? error.message;
  if (code === "unknown_variable") {
    const wrong = text.slice(range?.start, range?.end);
    const near = likeliest(wrong, allNames(names));
    const hint =
      near.length > 0 ? `did you mean ${near.join(", ")}?` : `there are ${[...names.keys()].toSorted().join(", ")}.`;
    return filterFault(text, range, `there is no \`${wrong}\`; ${hint}`);
  }
  return filterFault(text, range, `${message.charAt(0).toLowerCase()}${message.slice(1)}.`);
}

function evaluate(
  expression: ReturnType<Environment["parse"]>,
  asked: Pick<Filter, "facts" | "asksBinaries">,
  device: FilterDevice,
): FilterOutcome {
  const values = valuesOf(device);
  try {
    return { kind: expression(values) === true ? "holds" : "fails" };
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    const missing = [...asked.facts].filter((name) => factValue(name, device.facts[name]) === undefined).toSorted();
    if (asked.asksBinaries && values.binary === undefined) missing.push("binary");
    const why = missing.length > 0 ? `the device does not tell ${missing.join(", ")}` : summaryOf(error);
    return { kind: "unknown", missing, why };
  }
}

function summaryOf(error: Error): string {
  return String((error as { summary?: string }).summary ?? error.message).split("\n")[0] ?? "";
}

/** CEL's values, by name; what is missing, or of another type than the catalog says, is absent. */
function valuesOf(device: FilterDevice): Record<string, unknown> {
  const values: Record<string, unknown> = { tags: device.tags };
  if (device.groups !== undefined) values.groups = device.groups;
  const folders = new Map<string, Map<string, unknown>>();
  const put = (name: string, value: unknown) => {
    const [folder = "", field] = name.split(".");
    if (field === undefined) values[folder] = value;
    else folders.set(folder, (folders.get(folder) ?? new Map<string, unknown>()).set(field, value));
  };
  put("device.id", device.id);
  put("device.name", device.name);
  put("device.enrolledAt", new Date(device.enrolledAtMs));
  if (device.state !== undefined) put("device.state", device.state);
  if (typeof device.lastSeenAtMs === "number") put("device.lastSeenAt", new Date(device.lastSeenAtMs));
  const binaries = new Map<string, FactValue>();
  for (const [name, fact] of Object.entries(device.facts)) {
    if (name.startsWith("binary.") && Array.isArray(fact)) binaries.set(name.slice("binary.".length), fact);
    const value = factValue(name, fact);
    if (value !== undefined) put(name, value);
  }
  if (binaries.size > 0) values.binary = binaries;
  for (const [folder, fields] of folders) values[folder] = fields;
  return values;
}

function factValue(name: string, fact: FactValue | undefined): unknown {
  switch (singleFacts.get(name)?.type) {
    case "text":
      return typeof fact === "string" ? fact : undefined;
    case "whole":
      return typeof fact === "number" && Number.isSafeInteger(fact) ? BigInt(fact) : undefined;
    case "flag":
      return typeof fact === "boolean" ? fact : undefined;
    case "list":
      return Array.isArray(fact) ? fact : undefined;
    case "map":
      return typeof fact === "object" && !Array.isArray(fact) ? new Map(Object.entries(fact)) : undefined;
    default:
      return undefined;
  }
}

/**
 * Goes through a parsed expression once: which facts it asks for, whether it uses only what filters may, and what it costs at worst.
 *
 * The cost is counted before anything is evaluated: each part is a step, and what is repeated counts as often as the longest list or map can make it.
 * Nothing in the language repeats but the macros over lists, so an expression within its cost ends within a time that is known.
 */
import { RE2JS } from "@bufbuild/re2";
import type { ASTNode } from "@marcbachmann/cel-js";
import { apiLimits } from "../api/api-limits.ts";
import { filterFault } from "./filter-faults.ts";
import { filterLimits } from "./filter-limits.ts";
import { likeliest, type Names } from "./filter-names.ts";

/** What may be called, and how many steps it counts for besides its arguments. */
const functionSteps: Readonly<Record<string, number>> = {
  ...{ has: 1, size: 1, int: 2, double: 2, string: 2, bool: 2, timestamp: 5, duration: 5 },
  ...{ startsWith: 2, endsWith: 2, contains: 5, indexOf: 5, lastIndexOf: 5, substring: 5 },
  ...{ lowerAscii: 10, upperAscii: 10, trim: 5, split: 100, join: 100, matches: 30, olderThan: 30 },
  ...{ getFullYear: 2, getMonth: 2, getDate: 2, getDayOfWeek: 2, getHours: 2, getMinutes: 2, getSeconds: 2 },
};
const macros: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"]);
/** A text that is put together, or compared, may be as long as a fact. */
const joinSteps = 10;
/** Pieces that `split` makes of the longest text. */
const splitPieces = 4_096;

export const callable: readonly string[] = [...Object.keys(functionSteps), ...macros].toSorted();

export interface Inspection {
  /** Names of facts and of what else it asks for, as `os.id`, `packages`, `device.name`, `tags`. */
  readonly names: ReadonlySet<string>;
  readonly steps: number;
}

/** The name under which the environment has `matches` with patterns of linear time. */
export const linearMatches = "matchesLinear";

/** Throws `request/filter`. Calls of `matches` become calls of `linearMatches`. */
export function inspectFilter(text: string, ast: ASTNode, known: Names): Inspection {
  const inspector = new Inspector(text, known);
  const steps = inspector.steps(ast, new Map());
  if (steps > filterLimits.steps) {
    throw filterFault(
      text,
      undefined,
      `This would take up to ${steps.toLocaleString("en-US")} steps for one device, and ${filterLimits.steps.toLocaleString("en-US")} are allowed; go through fewer lists within lists.`,
    );
  }
  return { names: inspector.names, steps };
}

/** Iteration variables, with how many elements they have where they are lists themselves. */
type Scope = ReadonlyMap<string, number>;

class Inspector {
  readonly names = new Set<string>();
  readonly #text: string;
  readonly #known: Names;

  constructor(text: string, known: Names) {
    this.#text = text;
    this.#known = known;
  }

  steps(node: ASTNode, scope: Scope): number {
    switch (node.op) {
      case "value":
        return 1;
      case "id":
        return this.#identifier(node, node.args, scope);
      case ".":
      case "[]":
        return this.#access(node, scope);
      case "call":
        return this.#call(node, node.args[0], node.args[1], scope);
      case "rcall":
        return this.#method(node, scope);
      case "list":
        return 1 + this.#sum(node.args, scope);
      case "map":
        return 1 + this.#sum(node.args.flat(), scope);
      case "!_":
      case "-_":
        return 1 + this.steps(node.args, scope);
      case "?:":
      case "||":
      case "&&":
        return 1 + this.#sum(node.args, scope);
      case ".?":
      case "[?]":
        throw filterFault(
          this.#text,
          node,
          "optional access is not for filters; a fact that is missing makes it false.",
        );
      default: {
        const sizes = node.args.map((arg) => this.#elements(arg, scope));
        const work = node.op === "in" || node.op === "==" || node.op === "!=" ? Math.max(...sizes) : joinSteps;
        return 1 + work + this.#sum(node.args, scope);
      }
    }
  }

  #sum(nodes: readonly ASTNode[], scope: Scope): number {
    return nodes.reduce((sum, node) => sum + this.steps(node, scope), 0);
  }

  #identifier(node: ASTNode, name: string, scope: Scope): number {
    if (scope.has(name)) return 1;
    const type = this.#known.get(name);
    if (type !== undefined && typeof type !== "string") {
      const fields = [...type.keys()].map((field) => `${name}.${field}`).join(", ");
      throw filterFault(this.#text, node, `\`${name}\` alone says nothing; there are ${fields}.`);
    }
    this.names.add(name);
    return 1;
  }

  #access(node: ASTNode & { op: "." | "[]" }, scope: Scope): number {
    const [left] = node.args;
    const folder = left.op === "id" && !scope.has(left.args) ? this.#known.get(left.args) : undefined;
    if (left.op !== "id" || folder === undefined || typeof folder === "string") {
      return 1 + this.steps(left, scope) + (node.op === "[]" ? this.steps(node.args[1], scope) : 0);
    }
    const key = node.op === "." ? node.args[1] : node.args[1].op === "value" ? node.args[1].args : undefined;
    if (typeof key !== "string") {
      throw filterFault(this.#text, node, `write the name of the fact out, as \`${left.args}.NAME\`.`);
    }
    if (!folder.has(key)) {
      const near = likeliest(key, [...folder.keys()]);
      const fields = (near.length > 0 ? near : [...folder.keys()]).map((field) => `${left.args}.${field}`);
      const hint = near.length > 0 ? `did you mean ${fields.join(", ")}?` : `there are ${fields.join(", ")}.`;
      throw filterFault(this.#text, node, `there is no \`${left.args}.${key}\`; ${hint}`);
    }
    this.names.add(`${left.args}.${key}`);
    return 2;
  }

  #call(node: ASTNode, name: string, args: readonly ASTNode[], scope: Scope): number {
    this.#mayCall(node, name);
    return (functionSteps[name] ?? 0) + this.#sum(args, scope) + (name === "size" ? 0 : joinSteps / 2);
  }

  #mayCall(node: ASTNode, name: string): void {
    if (Object.hasOwn(functionSteps, name) || macros.has(name)) return;
    const near = likeliest(name, callable);
    const hint = near.length > 0 ? `did you mean ${near.join(", ")}?` : `there are ${callable.join(", ")}.`;
    throw filterFault(this.#text, node, `there is no function \`${name}\`; ${hint}`);
  }

  #method(node: ASTNode & { op: "rcall" }, scope: Scope): number {
    const [name, receiver, args] = node.args;
    this.#mayCall(node, name);
    const base = this.steps(receiver, scope);
    if (macros.has(name)) return base + this.#repeated(node, scope);
    if (name === "matches") {
      checkPattern(this.#text, args[0]);
      // The library's own goes through JavaScript's patterns, which some texts keep busy for hours.
      (node.args as unknown as [string])[0] = linearMatches;
    }
    return 1 + (functionSteps[name] ?? 0) + base + this.#sum(args, scope);
  }

  #repeated(node: ASTNode & { op: "rcall" }, scope: Scope): number {
    const [, receiver, [variable, ...bodies]] = node.args;
    if (variable?.op !== "id") return 1;
    if (this.#known.has(variable.args)) {
      throw filterFault(this.#text, variable, `\`${variable.args}\` is the name of a fact; choose another one.`);
    }
    const inside = new Map(scope).set(variable.args, this.#areTexts(receiver) ? 1 : apiLimits.factEntries);
    return 1 + this.#elements(receiver, scope) * (1 + this.#sum(bodies, inside));
  }

  /** Facts hold texts alone; what an expression makes may hold lists. */
  #areTexts(node: ASTNode): boolean {
    if (node.op === "id") return this.#known.has(node.args);
    if (node.op === "." || node.op === "[]") return this.#areTexts(node.args[0]);
    return (
      node.op === "rcall" && (node.args[0] === "split" || (node.args[0] === "filter" && this.#areTexts(node.args[1])))
    );
  }

  /** How many elements a list or map has at most; 1 for what is neither. */
  #elements(node: ASTNode, scope: Scope): number {
    switch (node.op) {
      case "list":
        return Math.max(1, node.args.length);
      case "map":
        return Math.max(1, node.args.length);
      case "id":
        if (node.args === "tags") return apiLimits.tagsPerDevice;
        return scope.get(node.args) ?? elementsOf(this.#known.get(node.args));
      case ".":
      case "[]": {
        const [left, key] = node.args;
        const folder = left.op === "id" ? this.#known.get(left.args) : undefined;
        if (folder === undefined || typeof folder === "string") return left.op === "id" ? listEntries : 1;
        return elementsOf(folder.get(typeof key === "string" ? key : String(key.args)));
      }
      case "rcall":
        if (node.args[0] === "split") return splitPieces;
        return macros.has(node.args[0]) ? this.#elements(node.args[1], scope) : 1;
      case "?:":
        return Math.max(this.#elements(node.args[1], scope), this.#elements(node.args[2], scope));
      case "+":
        return this.#elements(node.args[0], scope) + this.#elements(node.args[1], scope);
      default:
        return 1;
    }
  }
}

/** Of a fact that is a list, as its schema bounds it. */
const listEntries = 256;

function elementsOf(type: string | ReadonlyMap<string, string> | undefined): number {
  if (typeof type !== "string") return 1;
  if (type.startsWith("map<")) return apiLimits.factEntries;
  return type.startsWith("list<") ? listEntries : 1;
}

function checkPattern(text: string, pattern: ASTNode | undefined): void {
  if (pattern?.op !== "value" || typeof pattern.args !== "string") {
    throw filterFault(text, pattern, "a pattern of `matches` is written out, as a text.");
  }
  const { patternCharacters, patternInstructions } = filterLimits;
  if (pattern.args.length > patternCharacters) {
    throw filterFault(text, pattern, `a pattern has at most ${patternCharacters} characters.`);
  }
  let instructions: number;
  try {
    instructions = RE2JS.compile(pattern.args).re2Input.prog.inst.length;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw filterFault(text, pattern, `this is no pattern (RE2): ${why}.`);
  }
  if (instructions > patternInstructions) {
    throw filterFault(text, pattern, "this pattern repeats too much; shorten its counts.");
  }
}

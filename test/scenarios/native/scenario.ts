/**
 * A scenario of the farm: one C or C++ file under cases/ with what it is about, and beside it, where the usual steps do not do, a module with steps of its own.
 *
 * Lines that begin with `//! ` say how it is built and what is expected; `//! file: NAME` begins another file of the program.
 * `#if VERSION … #else … #endif` around whole lines tells the fixed source from the one before, and is resolved here, so that lines move as they do in real fixes.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";

export const casesFolder = join(import.meta.dirname, "cases");

export interface Refused {
  readonly stage: "build" | "apply";
  readonly code: string;
  /** The message must have it. */
  readonly words: RegExp;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly compiler: string;
  readonly flags: string;
  readonly link: string;
  readonly libraryLink: string;
  /** Programs that must be there, and `root`. */
  readonly needs: readonly string[];
  /** A shell command that starts the target; `$APP` is its path, `$DIR` its folder. */
  readonly run: string;
  readonly refuses: Refused | undefined;
  readonly waitSeconds: string;
  readonly timeoutMs: number;
  /** Whether threads or processes come and go, so that the memory map does as well. */
  readonly mapVaries: boolean;
  /** Whether each command is a process of its own, as users run it: where being the target's parent makes a difference. */
  readonly commandsApart: boolean;
  readonly buildOptions: readonly string[];
  /** The text behind the directives. */
  readonly text: string;
  readonly extension: string;
  /** A module with `drive(scene)`. */
  readonly driver: string | undefined;
}

const known = new Set(
  "about compiler flags link library-link needs run refuses unprivileged wait timeout map commands build variant".split(
    " ",
  ),
);

/** All scenarios, variants by `name@variant`, in the order of their names. */
export function discover(): Scenario[] {
  return readdirSync(casesFolder)
    .filter((file) => /\.cc?$/.test(file))
    .sort()
    .flatMap(readScenarios);
}

function readScenarios(file: string): Scenario[] {
  const extension = extname(file);
  const name = file.slice(0, -extension.length);
  const said = new Map<string, string[]>();
  const text: string[] = [];
  for (const line of readFileSync(join(casesFolder, file), "utf8").split("\n")) {
    const [, word = "", value = ""] = /^\/\/! ([a-z-]+): ?(.*)$/.exec(line) ?? [];
    if (word === "" || word === "file") text.push(line);
    else if (!known.has(word)) throw new Error(`${file} says ${word}, which nobody understands`);
    else said.set(word, [...(said.get(word) ?? []), value]);
  }
  const driver = join(casesFolder, `${name}.ts`);
  const one = (word: string, otherwise: string): string => said.get(word)?.join(" ") ?? otherwise;
  const base: Scenario = {
    name,
    about: one("about", ""),
    compiler: one("compiler", extension === ".cc" ? "g++" : "gcc"),
    flags: one("flags", "-O2"),
    link: one("link", "-pthread"),
    libraryLink: one("library-link", ""),
    needs: one("needs", "").split(/[ ,]+/).filter(Boolean),
    run: one("run", 'exec "$APP"'),
    refuses:
      (process.getuid?.() === 0 ? undefined : readRefusal(said.get("unprivileged")?.[0])) ??
      readRefusal(said.get("refuses")?.[0]),
    waitSeconds: one("wait", "20"),
    timeoutMs: Number(one("timeout", "300")) * 1000,
    mapVaries: one("map", "stays") === "varies",
    commandsApart: one("commands", "within") === "apart",
    buildOptions: one("build", "").split(" ").filter(Boolean),
    text: text.join("\n"),
    extension,
    driver: existsSync(driver) ? driver : undefined,
  };
  const variants = said.get("variant");
  return variants === undefined ? [base] : variants.map((line) => variantOf(base, line));
}

/** `name: compiler; flags; link; refusal`, the last two where they differ. */
function variantOf(base: Scenario, line: string): Scenario {
  const [, name = "", rest = ""] = /^(\S+): (.+)$/.exec(line) ?? [];
  const [compiler = "", flags, link, refusal] = rest.split("; ");
  if (name === "" || flags === undefined)
    throw new Error(`${base.name} has a variant that nobody understands: ${line}`);
  return {
    ...base,
    name: `${base.name}@${name}`,
    compiler,
    flags,
    link: link || base.link,
    refuses: readRefusal(refusal) ?? base.refuses,
    needs: [...base.needs, compiler],
  };
}

function readRefusal(line: string | undefined): Refused | undefined {
  if (line === undefined) return undefined;
  const [, stage, code = "", words = ""] = /^(build|apply) (\S+) ?(.*)$/.exec(line) ?? [];
  if (stage !== "build" && stage !== "apply") throw new Error(`a refusal that nobody understands: ${line}`);
  return { stage, code, words: new RegExp(words) };
}

/** The files of the program, before (0) and behind (1) the fix. */
export function sources({ text, extension }: Scenario, version: 0 | 1): Record<string, string> {
  const begin = (name: string): string[] => [/\.h$/.test(name) ? "" : `#define VERSION ${version}`];
  const files: Record<string, string[]> = {};
  let lines = begin("");
  files[`main${extension}`] = lines;
  for (const line of resolveVersion(text, version)) {
    const [, next] = /^\/\/! file: (\S+)$/.exec(line) ?? [];
    if (next === undefined) {
      lines.push(line);
      continue;
    }
    lines = begin(next);
    files[next] = lines;
  }
  return Object.fromEntries(Object.entries(files).map(([file, lines]) => [file, `${lines.join("\n")}\n`]));
}

function resolveVersion(text: string, version: 0 | 1): string[] {
  const kept: string[] = [];
  /** Conditions that are open: of ours, whether lines are kept; of the compiler's, undefined. */
  const open: (boolean | undefined)[] = [];
  for (const line of text.split("\n")) {
    const ours = open.at(-1) !== undefined;
    const wanted = /^#\s*if (!?)VERSION$/.exec(line);
    if (wanted !== null) open.push((wanted[1] === "") === (version === 1));
    else if (/^#\s*else\b/.test(line) && ours) open.push(!open.pop());
    else if (/^#\s*endif\b/.test(line) && ours) open.pop();
    else {
      if (!open.includes(false)) kept.push(line);
      if (/^#\s*if/.test(line)) open.push(undefined);
      else if (/^#\s*endif\b/.test(line)) open.pop();
    }
  }
  return kept;
}

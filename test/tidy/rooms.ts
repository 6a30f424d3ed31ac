/** Import directions: which room may know which, that there are no circles, and that no file is dead. */
import { importedFiles, importsOf, isCode, type Problem, type Tree } from "./tree.ts";

/** A way from one room into another; `only` narrows the importing files, `into` the imported ones. */
interface Way {
  readonly to: string;
  readonly only?: RegExp;
  readonly into?: RegExp;
}

/**
 * The rooms of src/, lowest first, and all that each may import.
 *
 * A new folder under src/ gets its line here.
 */
export const rooms: Readonly<Record<string, readonly Way[]>> = {
  base: [],
  binary: [{ to: "base" }],
  elf: [{ to: "base" }, { to: "binary" }],
  x86: [{ to: "base" }, { to: "binary" }],
  process: [{ to: "base" }],
  hotpatch: [{ to: "base" }],
  javascript: [{ to: "base" }],
  engine: [
    { to: "base" },
    { to: "hotpatch" },
    { to: "process" },
    // Only the engine for native programs knows machine code.
    { to: "elf", only: /^src\/engine\/linux\// },
    { to: "x86", only: /^src\/engine\/linux\// },
    { to: "binary", only: /^src\/engine\/linux\// },
  ],
  build: [
    { to: "base" },
    { to: "hotpatch" },
    { to: "javascript" },
    { to: "process" },
    { to: "binary" },
    { to: "elf" },
    // Only the builder for native programs knows machine code.
    { to: "x86", only: /^src\/build\/elf\// },
    // A rehearsal is an apply in a sacrificial process; nothing else of a build may touch a process.
    { to: "engine", only: /^src\/build\/(rehears|stale-values)/, into: /^src\/engine\/(engine\.ts|node\/)/ },
  ],
  repository: [{ to: "base" }, { to: "hotpatch" }],
  api: [{ to: "base" }],
  cel: [{ to: "base" }, { to: "api" }],
  server: [
    { to: "base" },
    { to: "api" },
    { to: "cel" },
    { to: "hotpatch" },
    // A server reads a catalog as any client does, and never writes one.
    { to: "repository", into: /^src\/repository\/(client\/|[^/]+$)/ },
  ],
  agent: [
    { to: "base" },
    { to: "api" },
    { to: "process" },
    { to: "hotpatch" },
    { to: "engine" },
    { to: "repository", into: /^src\/repository\/(client\/|[^/]+$)/ },
  ],
  console: [{ to: "api" }],
  cli: [
    { to: "base" },
    { to: "api" },
    { to: "agent" },
    { to: "server" },
    { to: "process" },
    { to: "hotpatch" },
    { to: "javascript" },
    { to: "engine" },
    { to: "build" },
    { to: "repository" },
  ],
};

/** Parts of one room that must not know each other, either way: what they share stands beside them. */
export const walls: readonly (readonly [RegExp, RegExp])[] = [
  [/^src\/repository\/writer\//, /^src\/repository\/client\//],
];

/** Where running starts: the command, and what is read by path rather than imported. */
export const entryPoints: readonly RegExp[] = [
  /^src\/cli\/main\.ts$/,
  /^src\/engine\/node\/agent\/[^/]+\.cjs$/,
  /^src\/console\/main\.tsx$/,
  /^src\/engine\/node\/attach\/helper\.ts$/,
  // Whole by itself, and entered by its tests.
  /^src\/elf\/write-elf\.ts$/,
];

/** What the folders beside src/ may import. */
const outside: Readonly<Record<string, readonly string[]>> = {
  src: ["src"],
  bin: ["bin", "scripts", "src"],
  scripts: ["scripts"],
  sample: ["sample", "scripts", "src"],
  bench: ["bench", "sample", "src", "test"],
  test: ["bench", "bin", "sample", "scripts", "src", "test"],
};

function folder(file: string, depth: number): string {
  return file.split("/")[depth] ?? "";
}

function mayImport(from: string, to: string): boolean {
  if (!(outside[folder(from, 0)] ?? []).includes(folder(to, 0))) return false;
  if (walls.some(([one, other]) => (one.test(from) && other.test(to)) || (other.test(from) && one.test(to))))
    return false;
  if (folder(from, 0) !== "src" || folder(from, 1) === folder(to, 1)) return true;
  return (rooms[folder(from, 1)] ?? []).some(
    (way) => way.to === folder(to, 1) && (way.only?.test(from) ?? true) && (way.into?.test(to) ?? true),
  );
}

export function importDirections(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const file of [...tree.files.keys()].filter(isCode)) {
    if (folder(file, 0) === "src" && rooms[folder(file, 1)] === undefined) {
      problems.push({ file, message: `the room ${folder(file, 1)} is not in the table of test/tidy/rooms.ts` });
    }
    for (const imported of importedFiles(tree, file)) {
      if (!mayImport(file, imported)) problems.push({ file, message: `may not import ${imported}` });
    }
  }
  return problems;
}

/** Each circle once, told from its first file in alphabetical order. */
export function importCircles(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]) => {
    const start = way.indexOf(file);
    if (start >= 0) {
      const circle = way.slice(start);
      const [first = file] = circle.toSorted();
      problems.push({ file: first, message: `imports in a circle: ${[...circle, file].join(" → ")}` });
      return;
    }
    if (done.has(file)) return;
    for (const imported of importedFiles(tree, file)) visit(imported, [...way, file]);
    done.add(file);
  };
  for (const file of [...tree.files.keys()].filter(isCode).toSorted()) visit(file, []);
  return problems;
}

export function deadFiles(tree: Tree): readonly Problem[] {
  const code = [...tree.files.keys()].filter((file) => file.startsWith("src/") && isCode(file));
  const alive = new Set<string>();
  const visit = (file: string) => {
    if (alive.has(file)) return;
    alive.add(file);
    for (const imported of importedFiles(tree, file)) visit(imported);
  };
  for (const file of code) if (entryPoints.some((entry) => entry.test(file))) visit(file);
  return code
    .filter((file) => !alive.has(file))
    .map((file) => ({ file, message: "is reached from no entry point (test/tidy/rooms.ts lists them)" }));
}

/** Relative imports must name a file that is there: the type checker does not look at .mjs and .cjs. */
export function brokenImports(tree: Tree): readonly Problem[] {
  return [...tree.files.keys()].filter(isCode).flatMap((file) => {
    const relative = importsOf(file, tree.files.get(file) ?? "").filter((specifier) => /^\.\.?\//.test(specifier));
    return relative
      .filter((specifier) => !tree.exists(decodeURI(new URL(specifier, `file:///${file}`).pathname.slice(1))))
      .map((specifier) => ({ file, message: `imports ${specifier}, which is not there` }));
  });
}

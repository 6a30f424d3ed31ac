/** What is looked at around the code: names, links, dependencies, the lockfile. */
import { isBuiltin } from "node:module";
import path from "node:path";
import { importsOf, isCode, type Problem, type Tree } from "./tree.ts";

const kebabCase = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
/** Names that others expect as they are. */
const customaryNames = new Set([
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "LICENSE.md",
]);
/** Such a name says nothing about what is inside. */
const drawer = /^(utils?|misc)(\.|$)/;

export function names(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const file of tree.files.keys()) {
    const bad = file.split("/").find((part) => !kebabCase.test(part) && !customaryNames.has(part));
    if (bad !== undefined) problems.push({ file, message: `${bad} is not in kebab-case` });
    const vague = isCode(file) ? file.split("/").find((part) => drawer.test(part)) : undefined;
    if (vague !== undefined) problems.push({ file, message: `${vague} does not say what is in it` });
  }
  return problems;
}

/** Links of Markdown files into the checkout must arrive. */
export function links(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [file, text] of tree.files) {
    if (!file.endsWith(".md")) continue;
    const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").replace(/`[^`\n]*`/g, "");
    const inline = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)];
    const references = [...prose.matchAll(/^\[[^\]]+\]:\s+<?(\S+?)>?\s*$/gm)];
    for (const [, target = ""] of [...inline, ...references]) {
      if (/^[a-z][a-z0-9+.-]*:|^#/i.test(target)) continue;
      const place = path.posix.join(path.posix.dirname(file), decodeURI(target.replace(/#.*$/, "")));
      const outside = target.startsWith("/") || place.startsWith("..");
      if (outside || !tree.exists(place.replace(/\/$/, "")))
        problems.push({ file, message: `links to ${target}, which is not there` });
    }
  }
  return problems;
}

type Manifest = Partial<Record<"dependencies" | "devDependencies", Record<string, string>>>;

function manifestOf(tree: Tree): Manifest {
  return JSON.parse(tree.files.get("package.json") ?? "{}") as Manifest;
}

/** Each dependency has a line in docs/dependencies.md, and each line a dependency. */
export function dependencyReasons(tree: Tree): readonly Problem[] {
  const file = "docs/dependencies.md";
  const manifest = manifestOf(tree);
  const wanted = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  const lines = [...(tree.files.get(file) ?? "").matchAll(/^- `([^`]+)`: \S/gm)].map(([, name = ""]) => name);
  const missing = wanted
    .filter((name) => !lines.includes(name))
    .map((name) => ({ file, message: `has no line for ${name}` }));
  const stale = lines
    .filter((name) => !wanted.includes(name))
    .map((name) => ({ file, message: `${name} is no dependency` }));
  return [...missing, ...stale];
}

/** What src/ imports by name must be installed with the product, not only with its tests. */
export function runtimeDependencies(tree: Tree): readonly Problem[] {
  const installed = Object.keys(manifestOf(tree).dependencies ?? {});
  return [...tree.files.entries()]
    .filter(([file]) => file.startsWith("src/") && isCode(file))
    .flatMap(([file, source]) =>
      importsOf(file, source)
        .filter((specifier) => !/^[.#]/.test(specifier) && !isBuiltin(specifier))
        .map((specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/"))
        .filter((name) => !installed.includes(name) && !onlyTypes(source, name))
        .map((name) => ({ file, message: `imports ${name}, which is not among the dependencies of package.json` })),
    );
}

/** Random inputs of tests come through one door, which gives them a seed. */
export function seededProperties(tree: Tree): readonly Problem[] {
  const door = "test/support/properties.ts";
  return [...tree.files.entries()]
    .filter(([file, source]) => isCode(file) && file !== door && importsOf(file, source).includes("fast-check"))
    .map(([file]) => ({ file, message: `imports fast-check: take fc from ${door}, which gives it a seed` }));
}

/** Types are gone at run time, so a package that has only those may be a development dependency. */
function onlyTypes(source: string, name: string): boolean {
  return new RegExp(`^import type [^;]*? from "${name}"`, "m").test(source);
}

/** The lockfile must work with whatever registry the user has, so it names none. */
export function lockfileHosts(tree: Tree): readonly Problem[] {
  const file = "package-lock.json";
  const lock = JSON.parse(tree.files.get(file) ?? '{"packages":{}}') as {
    packages: Record<string, { resolved?: string }>;
  };
  return Object.entries(lock.packages)
    .filter(([, entry]) => entry.resolved !== undefined)
    .map(([name]) => ({
      file,
      message: `${name} has a "resolved" field; run npm with --omit-lockfile-registry-resolved`,
    }));
}

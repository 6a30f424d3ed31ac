/**
 * The packages of a corpus, installed once: the vulnerable versions in one folder, the fixed ones in another, each under the alias `x-<id>`.
 *
 * The folders lie in `.cache/` of the checkout and are named by what is in them, so that another corpus gets others.
 * The target program and the probes are copied into both, since `require` and `import()` look from the file that calls them.
 */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Corpus, CorpusCase } from "./cases.ts";
import { runToEnd } from "./child-process.ts";

export type Side = "vulnerable" | "fixed";

export interface Installation {
  /** The folder with the target program for each side. */
  readonly folders: Readonly<Record<Side, string>>;
}

const cacheFolder = resolve(import.meta.dirname, "..", "..", "..", ".cache", "corpus-npm");
const installTimeoutMs = 600_000;
const sides: readonly Side[] = ["vulnerable", "fixed"];

export async function install(corpus: Corpus, say: (line: string) => void): Promise<Installation> {
  const what = sides.map((side) => JSON.stringify(dependencies(corpus.cases, side)));
  const folder = join(cacheFolder, createHash("sha256").update(what.join("\n")).digest("hex").slice(0, 16));
  if (!existsSync(folder)) {
    const temporary = `${folder}.${process.pid}`;
    try {
      for (const side of sides) {
        say(`installing ${corpus.cases.length} ${side} packages`);
        await installSide(corpus.cases, side, join(temporary, side));
      }
      moveInto(temporary, folder);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }
  const folders = { vulnerable: join(folder, "vulnerable"), fixed: join(folder, "fixed") };
  for (const side of sides) copyPrograms(corpus.folder, folders[side]);
  return { folders };
}

function dependencies(cases: readonly CorpusCase[], side: Side): Record<string, string> {
  return Object.fromEntries(cases.map((one) => [`x-${one.id}`, `npm:${one.package}@${one[side]}`]));
}

async function installSide(cases: readonly CorpusCase[], side: Side, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const manifest = { name: `corpus-${side}`, private: true, dependencies: dependencies(cases, side) };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  // Packages that are vulnerable on purpose get no chance to run anything while they are installed.
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--legacy-peer-deps"];
  const ended = await runToEnd({
    command: "npm",
    args: ["install", "--prefix", folder, ...flags, "--loglevel=error"],
    cwd: folder,
    timeoutMs: installTimeoutMs,
  });
  if (ended.code === 0) return;
  const why = ended.timedOut ? `no end after ${installTimeoutMs / 1000} s` : ended.error.trim().slice(0, 2000);
  throw new Error(`npm could not install the ${side} packages of the corpus: ${why}`);
}

function moveInto(temporary: string, folder: string): void {
  try {
    renameSync(temporary, folder);
  } catch (error) {
    // Another run was quicker, and what it installed is the same.
    if (!existsSync(folder)) throw error;
  }
}

/** By rename, since another run may be starting targets from this folder. */
function copyPrograms(corpus: string, folder: string): void {
  const copies = [
    [join(corpus, "probes.cjs"), "probes.cjs"],
    ...["target.cjs", "heap-filler.cjs", "extra-probes.cjs"].map((name) => [join(import.meta.dirname, name), name]),
  ] as [string, string][];
  for (const [from, name] of copies) {
    const temporary = join(folder, `${name}.${process.pid}`);
    copyFileSync(from, temporary);
    renameSync(temporary, join(folder, name));
  }
}

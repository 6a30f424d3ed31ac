/**
 * The copies of the source that are built: nothing of the user's is written.
 *
 * Both versions are built at one place, since builds write absolute paths into what they make; the old one is put aside, built as it is, before the fix is applied.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { extname, join, relative } from "node:path";
import { refuse } from "../../base/refusal.ts";
import { keepLineNumbers, parseNormalDiff } from "./line-numbers.ts";
import { mustRun, runCommand } from "./run-command.ts";

export interface SourceTrees {
  /** Where the build runs: holds the one version or the other. */
  readonly place: string;
  /** Paths that the fix changed, added or removed, relative to the tree. */
  readonly changed: readonly string[];
  /** Puts a version at `place`. */
  show(version: "before" | "after"): void;
  /** Puts the fixed source at `place` as it is before anything is built, while `after` is shown. */
  startAnew(): Promise<void>;
}

const compiled = /^\.(c|h|cc|cpp|cxx|c\+\+|C|hh|hpp|hxx|h\+\+|H|inc|inl|ipp|tcc|def|y|l)$/;

/** Whether a path is that of a source or header, by its name. */
export function isCompiled(path: string): boolean {
  return compiled.test(extname(path));
}

/** A copy of `source` at `work/tree`, with times, links and what was built in it. */
export async function copySource(source: string, work: string): Promise<string> {
  const place = join(work, "tree");
  await mustRun("Copying the source", ["cp", "-a", "--", source, place], { cwd: work, env: process.env });
  return place;
}

export interface Fix {
  /** A unified diff. */
  readonly patch?: string;
  /** A tree with the fix. */
  readonly to?: string;
}

/** Puts the built tree aside and changes the one at `place`. Refuses a diff that does not fit. */
export async function applyFix(place: string, work: string, original: string, fix: Fix): Promise<SourceTrees> {
  const before = join(work, "before");
  const after = join(work, "after");
  await mustRun("Keeping the old build", ["cp", "-a", "--", place, before], { cwd: work, env: process.env });
  const change = async (): Promise<string[]> => {
    const paths =
      fix.patch === undefined ? overlay(original, fix.to ?? original, place) : await applyPatch(place, fix.patch);
    if (paths.length === 0) refuse("build/nothing-changed", "The fix changes no file of the source.");
    for (const path of paths) await numberLines(join(before, path), join(place, path), work);
    return paths;
  };
  const changed = await change();
  let shown: "before" | "after" = "after";
  return {
    place,
    changed,
    show(version) {
      if (version === shown) return;
      renameSync(place, version === "before" ? after : before);
      renameSync(version === "before" ? before : after, place);
      shown = version;
    },
    async startAnew() {
      rmSync(place, { recursive: true, force: true });
      await copySource(original, work);
      await change();
    },
  };
}

async function applyPatch(place: string, patch: string): Promise<string[]> {
  const options = { cwd: place, env: { ...process.env, LC_ALL: "C" } };
  const words = (strip: number): string[] => [
    "patch",
    "--batch",
    "--forward",
    "--no-backup-if-mismatch",
    "-r",
    "-",
    `-p${strip}`,
    "-i",
    patch,
  ];
  let complaint = "";
  for (const strip of [1, 0, 2]) {
    const trial = await runCommand([...words(strip), "--dry-run"], options);
    if (trial.code !== 0) {
      if (complaint === "") complaint = trial.output;
      continue;
    }
    const output = await mustRun("Applying the fix", words(strip), options);
    return [...output.matchAll(/^patching file '?(.*?)'?( \(.*\))?$/gm)].map(([, path = ""]) => path);
  }
  return refuse(
    "build/patch-does-not-fit",
    `The fix does not apply to the source: ${complaint.trim().split("\n").slice(-5).join("; ")}. Give the source that it was made for.`,
  );
}

/** Copies what differs between two trees as they were given, so that what the build made stays. */
function overlay(original: string, fixed: string, place: string): string[] {
  const olds = new Set(filesOf(original));
  const news = filesOf(fixed);
  const changed: string[] = [];
  for (const path of news) {
    const bytes = readFileSync(join(fixed, path));
    if (olds.delete(path) && Buffer.compare(bytes, readFileSync(join(original, path))) === 0) continue;
    writeFileSync(join(place, path), bytes, { mode: statSync(join(fixed, path)).mode });
    changed.push(path);
  }
  for (const path of olds) {
    // What only the old tree has may be what its build made: only sources are taken away.
    if (!compiled.test(extname(path))) continue;
    rmSync(join(place, path), { force: true });
    changed.push(path);
  }
  return changed.sort();
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !/(^|\/)(\.git|\.pc)\//.test(path))
    .sort();
}

async function numberLines(before: string, after: string, work: string): Promise<void> {
  if (!/^\.(c|h|cc|cpp|cxx|c\+\+|C|hh|hpp|hxx|h\+\+|H|inc|inl|ipp|tcc)$/.test(extname(after))) return;
  if (!existsSync(before) || !existsSync(after)) return;
  // diff answers 1 where the files differ (POSIX diff, "EXIT STATUS").
  const { output } = await runCommand(["diff", "--text", before, after], {
    cwd: work,
    env: { ...process.env, LC_ALL: "C" },
  });
  // Bytes that are no UTF-8 survive as one character each.
  const text = readFileSync(after, "latin1");
  const numbered = keepLineNumbers(text, parseNormalDiff(output));
  if (numbered !== text) writeFileSync(after, numbered, "latin1");
}

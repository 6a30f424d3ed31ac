/**
 * The source of a case: fetched once as Debian has it, and made vulnerable again by taking its patches back.
 *
 * apt gets folders of its own, so that the machine's package lists and sources stay as they are.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { SourceArchive, type SourcePackage, type UnpackedSource } from "../../../src/build/elf/debian-apt.ts";
import { mustRun, runCommand } from "../../../src/build/elf/run-command.ts";
import type { NativeCase } from "./cases.ts";

/** Of the run; its lists are fetched when the first source has to be. */
let archive: Promise<SourceArchive> | undefined;

function openArchive(cache: string): Promise<SourceArchive> {
  archive ??= SourceArchive.open(join(cache, "apt"), process.env);
  return archive;
}

/**
 * The unpacked source with all of Debian's patches.
 *
 * A version that has gone from the archive is replaced by another one there that carries the same patches.
 */
async function fixedSource(one: NativeCase, cache: string): Promise<UnpackedSource> {
  let complaint = "";
  const attempt = async (version: string): Promise<UnpackedSource | undefined> => {
    const source = await unpacked({ name: one.package, version }, cache).catch((error: Error) => {
      complaint ||= error.message;
    });
    if (source === undefined) return undefined;
    if (one.patches.every((name) => existsSync(join(source.tree, "debian", "patches", name)))) return source;
    complaint ||= `version ${version} does not carry ${one.patches.join(", ")}`;
    return undefined;
  };
  const wanted = await attempt(one.version);
  if (wanted !== undefined) return wanted;
  for (const version of await (await openArchive(cache)).versions(one.package)) {
    const other = version === one.version ? undefined : await attempt(version);
    if (other !== undefined) return other;
  }
  throw new Error(`the source of ${one.package} ${one.version} cannot be had: ${complaint}`);
}

/** Fetched once: what lies in the folder counts when the note beside it is written. */
async function unpacked(source: SourcePackage, cache: string): Promise<UnpackedSource> {
  const folder = join(cache, "sources", `${source.name}_${source.version.replace(/[^\w.+~-]/g, "_")}`);
  const note = join(folder, "unpacked.json");
  if (existsSync(note)) {
    const kept = JSON.parse(readFileSync(note, "utf8")) as UnpackedSource;
    return { tree: join(folder, kept.tree), description: join(folder, kept.description) };
  }
  rmSync(folder, { recursive: true, force: true });
  const { tree, description } = await (await openArchive(cache)).unpack(source, folder);
  writeFileSync(note, JSON.stringify({ tree: basename(tree), description: basename(description) }));
  return { tree, description };
}

/** Only the hunks in program source count: those in tests, documentation and build files do not. */
export function programHunks(patch: string): string {
  const parts = patch.split(/^(?=--- )/m).slice(1);
  return parts
    .filter((part) => {
      const path = (/^\+\+\+ ([^\t\n]+)/m.exec(part)?.[1] ?? "").replace(/^[^/]*\//, "");
      return (
        /\.(c|h|cc|cpp|hpp|y|l|jq)$/.test(path) &&
        !/(^|\/)((lib|unit|self|reg|regress)?[-_]?tests?|t|testing|testsuite|fuzz\w*|oss-fuzz|docs?|examples?)\//i.test(
          path,
        ) &&
        !/(^|\/)(run)?test[^/]*\.c$/.test(path)
      );
    })
    .map((part) => part.replace(/^(diff --git|Index:) [\s\S]*/m, ""))
    .join("");
}

export interface CaseSource {
  /** The vulnerable source, not built. */
  readonly vulnerable: string;
  /** The fix as a diff. */
  readonly fix: string;
  /** As Debian has it, with what it needs to be built. */
  readonly debian: UnpackedSource;
}

export async function prepareSource(one: NativeCase, cache: string, folder: string): Promise<CaseSource> {
  const debian = await fixedSource(one, cache);
  const vulnerable = join(folder, "vulnerable");
  await mustRun("copying", ["cp", "-a", debian.tree, vulnerable], { cwd: folder, env: process.env });
  const patches = one.patches.map((name) =>
    programHunks(readFileSync(join(debian.tree, "debian", "patches", name), "latin1")),
  );
  for (const [index, patch] of [...patches.entries()].reverse()) {
    const file = join(folder, `fix-${index}.diff`);
    writeFileSync(file, patch, "latin1");
    const { code, output } = await runCommand(
      ["patch", "-R", "-p1", "--batch", "--no-backup-if-mismatch", "-i", file],
      { cwd: vulnerable, env: process.env },
    );
    if (code !== 0) throw new Error(`the fix cannot be taken back: ${output.trim().split("\n").slice(-3).join("; ")}`);
  }
  const fix = join(folder, "fix.diff");
  writeFileSync(fix, patches.join(""), "latin1");
  return { vulnerable, fix, debian };
}

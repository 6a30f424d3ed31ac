/**
 * The source of a case: fetched once as Debian has it, and made vulnerable again by taking its patches back.
 *
 * apt gets folders of its own, so that the machine's package lists and sources stay as they are.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun, runCommand } from "../../../src/build/elf/run-command.ts";
import type { NativeCase } from "./cases.ts";
import { plainDependencies } from "./packages.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

async function aptOptions(cache: string): Promise<string[]> {
  const apt = join(cache, "apt");
  const list = join(apt, "sources.list");
  const options = [
    `Dir::Etc::sourcelist=${list}`,
    "Dir::Etc::sourceparts=-",
    `Dir::State::lists=${join(apt, "lists")}`,
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  if (!existsSync(list)) {
    mkdirSync(join(apt, "lists", "partial"), { recursive: true });
    const signed = existsSync(keyring) ? `[signed-by=${keyring}] ` : "";
    const text = (await archives()).map((archive) => `deb-src ${signed}${archive}\n`);
    writeFileSync(`${list}.new`, text.join(""));
    renameSync(`${list}.new`, list);
    await mustRun("apt-get update", ["apt-get", ...options, "update"], { cwd: apt, env: process.env });
  }
  return options;
}

/** Where this machine has its Debian packages from: address, suite and component, as its own package lists say. */
async function archives(): Promise<string[]> {
  const format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
  const words = ["apt-get", "indextargets", "--format", format, "Created-By: Packages", "Origin: Debian"];
  const found = (await mustRun("apt-get indextargets", words, { cwd: "/", env: process.env })).trim();
  if (found === "") throw new Error("this machine has no package lists of Debian; run apt-get update first");
  return found.split("\n");
}

/**
 * The unpacked source with all of Debian's patches.
 *
 * A version that has gone from the archive is replaced by another one there that carries the same patches.
 */
async function fixedSource(one: NativeCase, cache: string): Promise<string> {
  const options = await aptOptions(cache);
  const wanted = [
    one.version,
    ...(await versionsOf(one.package, options)).filter((version) => version !== one.version),
  ];
  let complaint = "";
  for (const version of wanted) {
    const tree = await unpacked(one.package, version, cache, options).catch((error: Error) => {
      complaint ||= error.message;
    });
    if (tree === undefined) continue;
    if (one.patches.every((name) => existsSync(join(tree, "debian", "patches", name)))) return tree;
    complaint ||= `version ${version} does not carry ${one.patches.join(", ")}`;
  }
  throw new Error(`the source of ${one.package} ${one.version} cannot be had: ${complaint}`);
}

async function showSource(name: string, options: readonly string[]): Promise<string> {
  const { code, output } = await runCommand(["apt-cache", ...options, "showsrc", name], { cwd: "/", env: process.env });
  return code === 0 ? output : "";
}

/** In the order of the archive's suites. */
async function versionsOf(name: string, options: readonly string[]): Promise<string[]> {
  const text = await showSource(name, options);
  const records = text.split(/\n\n+/).filter((record) => record.includes(`Package: ${name}\n`));
  return records.flatMap((record) => /^Version: (\S+)$/m.exec(record)?.[1] ?? []);
}

/** Build-Depends and Build-Depends-Arch of the package (Debian policy §7.7), one alternative each. */
export async function buildDependencies({ package: name }: NativeCase, cache: string): Promise<string[]> {
  const [record = ""] = (await showSource(name, await aptOptions(cache))).split(/\n\n+/);
  const fields = [...record.matchAll(/^Build-Depends(?:-Arch)?: ((?:.*)(?:\n[ \t].*)*)/gm)];
  return plainDependencies(fields.map(([, value = ""]) => value.replace(/\n/g, " ")));
}

async function unpacked(name: string, version: string, cache: string, options: readonly string[]): Promise<string> {
  const folder = join(cache, "sources", `${name}_${version.replace(/[^\w.+~-]/g, "_")}`);
  const marker = join(folder, "unpacked");
  if (existsSync(marker)) return join(folder, readFileSync(marker, "utf8"));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const inFolder = { cwd: folder, env: process.env };
  await mustRun("apt-get source", ["apt-get", ...options, "source", "-qq", `${name}=${version}`], inFolder);
  const tree = readdirSync(folder, { withFileTypes: true }).find((entry) => entry.isDirectory());
  if (tree === undefined) throw new Error(`the source of ${name} was not unpacked`);
  writeFileSync(marker, tree.name);
  return join(folder, tree.name);
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
}

export async function prepareSource(one: NativeCase, cache: string, folder: string): Promise<CaseSource> {
  const fixed = await fixedSource(one, cache);
  const vulnerable = join(folder, "vulnerable");
  await mustRun("copying", ["cp", "-a", fixed, vulnerable], { cwd: folder, env: process.env });
  const patches = one.patches.map((name) =>
    programHunks(readFileSync(join(fixed, "debian", "patches", name), "latin1")),
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
  return { vulnerable, fix };
}

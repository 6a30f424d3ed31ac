/**
 * Getting a package, from the registry or from a folder, with what it depends on, so that it can be loaded.
 *
 * The registry is asked through the user's own npm, so that his settings (mirror, credentials) hold; no script of any package is run.
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { RebootlessError } from "../base/errors.ts";

export interface FetchedPackage {
  readonly name: string;
  readonly version: string;
  /** The package's own folder. */
  readonly folder: string;
  /** A folder whose `node_modules` holds the package and its dependencies. */
  readonly base: string;
}

export interface FetchOptions {
  /** A folder to work in; the caller removes it. */
  readonly workFolder: string;
  readonly cwd: string;
  progress(message: string): void;
}

const fetchTimeoutMs = 180_000;

/** `name@version`, or a folder with a package.json. Throws `input/package-not-found` or `failure/command`. */
export async function fetchPackage(specifier: string, options: FetchOptions): Promise<FetchedPackage> {
  const folder = resolve(options.cwd, specifier);
  if (/^[./~]/.test(specifier) || (existsSync(folder) && statSync(folder).isDirectory()))
    return fromFolder(folder, options);
  const { name, version } = parseSpecifier(specifier);
  const base = mkdtempSync(join(options.workFolder, "package-"));
  writeFileSync(join(base, "package.json"), JSON.stringify({ private: true }));
  options.progress(`Fetching ${name}@${version} from the registry`);
  await npm(
    ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", `${name}@${version}`],
    base,
    specifier,
  );
  return describe(join(base, "node_modules", name), base);
}

export function parseSpecifier(specifier: string): { name: string; version: string } {
  const match = /^((?:@[a-z0-9][\w.-]*\/)?[a-z0-9_][\w.-]*)@([\w.+~-]+)$/i.exec(specifier);
  if (match === null) {
    throw new RebootlessError(
      "usage/arguments",
      `${JSON.stringify(specifier)} is neither a folder nor a package with a version; write it like lodash@4.17.20.`,
    );
  }
  return { name: match[1] as string, version: match[2] as string };
}

function fromFolder(folder: string, options: FetchOptions): FetchedPackage {
  if (!existsSync(join(folder, "package.json"))) {
    throw new RebootlessError(
      "input/package-not-found",
      `${folder} has no package.json; name the folder of a package, or use "rebootless build files" for a program of your own.`,
    );
  }
  const { name } = describe(folder, folder);
  const base = mkdtempSync(join(options.workFolder, "package-"));
  const place = join(base, "node_modules", name);
  mkdirSync(join(place, ".."), { recursive: true });
  if (existsSync(join(folder, "node_modules"))) symlinkSync(realpathSync(folder), place);
  else cpSync(folder, place, { recursive: true });
  return describe(place, base);
}

function describe(folder: string, base: string): FetchedPackage {
  const file = join(folder, "package.json");
  try {
    const { name, version } = JSON.parse(readFileSync(file, "utf8")) as { name?: unknown; version?: unknown };
    if (typeof name !== "string" || typeof version !== "string") throw new Error("it has no name or no version");
    return { name, version, folder: realpathSync(folder), base };
  } catch (cause) {
    throw new RebootlessError(
      "input/package-not-found",
      `${file} cannot be used: ${cause instanceof Error ? cause.message : cause}.`,
      { cause },
    );
  }
}

function npm(parameters: readonly string[], cwd: string, specifier: string): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn("npm", parameters, { cwd, stdio: ["ignore", "ignore", "pipe"], timeout: fetchTimeoutMs });
    const end = (): void => void child.kill("SIGTERM");
    process.once("exit", end);
    let complaints = "";
    child.stderr.on("data", (chunk: Buffer) => {
      if (complaints.length < 8000) complaints += chunk.toString("utf8");
    });
    child.on("error", (cause) =>
      fail(
        new RebootlessError(
          "failure/command",
          `npm could not be started: ${cause.message}. Install npm, or name folders instead.`,
          { cause },
        ),
      ),
    );
    child.on("close", (code) => {
      process.off("exit", end);
      if (code === 0) return done();
      const missing = /E404|ETARGET|notarget/.test(complaints);
      const message = missing
        ? `The registry has no ${specifier}.`
        : `npm could not fetch ${specifier}: ${complaints.trim().split("\n")[0] ?? `exit code ${code}`}`;
      fail(
        new RebootlessError(missing ? "input/package-not-found" : "failure/command", message, {
          details: { specifier, code },
        }),
      );
    });
  });
}

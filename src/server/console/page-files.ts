/**
 * The files of the built web console, as they are served.
 *
 * All of them are read at once and then found by their whole name, so that no address of a request ever becomes a path on the disk.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { errnoOf } from "../../base/stored-file.ts";

/** Where scripts/build-console.mjs puts it. */
export const builtConsole = path.resolve(import.meta.dirname, "../../../.cache/console/page");

export type Encoding = "br" | "gzip" | "identity";

export interface PageFile {
  readonly mediaType: string;
  /** A strong validator for each encoding (RFC 9110 section 8.8.3.3), without the encoding's own part. */
  readonly digest: string;
  readonly bodies: ReadonlyMap<Encoding, Buffer>;
}

const mediaTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const suffixes = [
  ["br", ".br"],
  ["gzip", ".gz"],
] as const;

export class PageFiles {
  readonly #folder: string;
  #files: ReadonlyMap<string, PageFile> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** By its path in the folder, such as `index.html` or `assets/x.js`; undefined where there is none, or nothing is built yet. */
  find(name: string): PageFile | undefined {
    // Once it is there it stays as it is until the server starts again: the parts of one page fit each other.
    this.#files ??= readFiles(this.#folder);
    return this.#files?.get(name);
  }
}

function readFiles(folder: string): ReadonlyMap<string, PageFile> | undefined {
  const names = namesIn(folder);
  if (!names.includes("index.html")) return undefined;
  const files = new Map<string, PageFile>();
  for (const name of names) {
    const mediaType = mediaTypes[path.extname(name)];
    if (mediaType === undefined) continue;
    const plain = readFileSync(path.join(folder, name));
    const bodies = new Map<Encoding, Buffer>([["identity", plain]]);
    for (const [encoding, suffix] of suffixes) {
      if (names.includes(`${name}${suffix}`)) bodies.set(encoding, readFileSync(path.join(folder, `${name}${suffix}`)));
    }
    files.set(name, { mediaType, digest: createHash("sha256").update(plain).digest("base64url"), bodies });
  }
  return files;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.posix.join(path.relative(folder, entry.parentPath), entry.name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** The best of what is there and accepted (RFC 9110 section 12.5.3); a weight of 0 says no. */
export function encodingFor(accepted: string | undefined, file: PageFile): Encoding {
  const wanted = new Map(
    (accepted ?? "").split(",").map((part) => {
      const [name = "", ...parameters] = part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/);
      return [name, !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))] as const;
    }),
  );
  const may = (encoding: string) => wanted.get(encoding) ?? wanted.get("*") ?? false;
  for (const [encoding] of suffixes) if (may(encoding) && file.bodies.has(encoding)) return encoding;
  return "identity";
}

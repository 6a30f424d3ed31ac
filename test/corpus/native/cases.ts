/** The corpus of real holes in C programs: what a case says, and where the corpus lies. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export interface NativeCase {
  readonly id: string;
  readonly package: string;
  readonly version: string;
  readonly cve: readonly string[];
  readonly patches: readonly string[];
  readonly build: { readonly prepare: readonly string[]; readonly make: string; readonly cflags: string };
  /** Patterns of files that the build makes and the target needs. */
  readonly artifacts: readonly string[];
  readonly expectVulnerable: string;
  readonly expectFixed: string;
  /** What fresh processes answered to the harmless request and to the other one. */
  readonly seen?: { readonly vulnerable: readonly string[]; readonly fixed: readonly string[] };
  readonly driver?: { readonly source: string; readonly cflags: string; readonly link: string };
  readonly target: {
    readonly transport: "stdio" | "tcp";
    readonly argv: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly ready?: string;
  };
  readonly reply: string;
  readonly benign?: string;
  readonly probe?: string;
  readonly benignBase64?: string;
  readonly probeBase64?: string;
  readonly timeoutS?: number;
}

/** The command was called with what cannot be. */
export class UsageError extends Error {}

export function corpusFolder(given: string | undefined): string {
  const checkout = resolve(import.meta.dirname, "..", "..", "..");
  return resolve(given ?? process.env.REBOOTLESS_NATIVE_CORPUS ?? join(checkout, "..", "shared", "corpus", "native"));
}

/** Throws where the folder holds no corpus. */
export function readCases(corpus: string, only: readonly string[] | undefined): NativeCase[] {
  const file = join(corpus, "cases.json");
  if (!existsSync(file)) throw new UsageError(`${corpus} holds no corpus (cases.json); name one with --corpus DIR`);
  const cases = JSON.parse(readFileSync(file, "utf8")) as NativeCase[];
  return only === undefined
    ? cases
    : cases.filter(({ id, package: name }) => only.some((word) => id === word || name === word));
}

/**
 * Advisories of others as files: CSAF 2.0 (OASIS) and OSV (OpenSSF), told apart by what they say they are.
 *
 * A file is hostile until read: bytes, depth and strings are bounded before it is parsed, only fields that are understood are taken, each bounded again, and what contradicts itself is left aside and said so.
 */
import type { AdvisoryNote } from "../../api/schemas/catalog.ts";
import { checkJsonBounds } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { csafNotes, isCsaf } from "./csaf.ts";
import { isOsv, osvNotes } from "./osv.ts";

export const advisoryLimits = {
  fileBytes: 16 * 1024 * 1024,
  maxDepth: 64,
  maxElements: 1_000_000,
  maxStringBytes: 256 * 1024,
} as const;

/** Throws `input/too-large` or `input/json-invalid`. */
export function readAdvisory(bytes: Uint8Array, name: string): AdvisoryNote[] {
  if (bytes.length > advisoryLimits.fileBytes) {
    const most = advisoryLimits.fileBytes;
    throw new RebootlessError(
      "input/too-large",
      `${quoted(name)} has ${bytes.length} bytes; an advisory may have ${most}.`,
    );
  }
  const fail = (why: string, cause?: unknown): never => {
    const message = `${quoted(name)} is no advisory that can be read: ${why}.`;
    throw new RebootlessError("input/json-invalid", message, cause === undefined ? {} : { cause });
  };
  let value: unknown;
  try {
    checkJsonBounds(bytes, advisoryLimits);
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    fail(error instanceof RebootlessError ? error.message : "it is not JSON in UTF-8", error);
  }
  const notes = isCsaf(value) ? csafNotes(value) : isOsv(value) ? osvNotes(value) : undefined;
  if (notes === undefined) return fail("it is neither CSAF 2.0 nor OSV");
  if (notes.length === 0) return fail("it names no vulnerability with an id");
  return notes;
}

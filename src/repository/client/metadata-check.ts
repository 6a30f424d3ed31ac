/**
 * What is asked of the bytes of a metadata file before the TUF client parses them: bounded JSON, and one spelling of each signature.
 *
 * Says nothing about trust. A file that another TUF writer made passes as well.
 */
import { checkJsonBounds } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";
import type { CatalogLimits } from "../catalog-limits.ts";

/** Refuses with `catalog/metadata-invalid`. */
export function checkMetadataBytes(name: string, bytes: Uint8Array, limits: CatalogLimits): void {
  let value: unknown;
  try {
    checkJsonBounds(bytes, {
      maxDepth: limits.jsonDepth,
      maxElements: limits.jsonElements,
      maxStringBytes: limits.jsonStringBytes,
    });
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const why = error instanceof RebootlessError ? error.message : "it is not JSON in UTF-8";
    invalid(name, why);
  }
  const { signatures } = Object(value) as { readonly signatures?: unknown };
  if (!Array.isArray(signatures)) invalid(name, "it has no list of signatures");
  for (const entry of signatures as unknown[]) {
    const { keyid, sig } = Object(entry) as { readonly keyid?: unknown; readonly sig?: unknown };
    // Upper-case digits would decode to the same signature, and so leave a second form of one file.
    if (typeof keyid !== "string" || typeof sig !== "string" || !/^(?:[0-9a-f]{2})*$/.test(sig)) {
      invalid(name, "a signature is not written in lower-case hexadecimal");
    }
  }
}

export function invalid(name: string, why: string): never {
  refuse(
    "catalog/metadata-invalid",
    `The catalog's ${quoted(name)} cannot be used: ${why}. Nothing of it was taken; tell the owner of the catalog.`,
    { file: name },
  );
}

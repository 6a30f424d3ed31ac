/** A hotpatch in memory: its manifest, and the payloads that the manifest names. */
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import type { Manifest } from "./manifest.ts";

export interface Hotpatch {
  readonly manifest: Manifest;
  /** By name; exactly those that the manifest lists. */
  readonly payloads: ReadonlyMap<string, Uint8Array>;
}

/**
 * The text of a payload, with a byte-order mark if it has one.
 * A hotpatch that was decoded or encoded has every payload that it names, in UTF-8; anything else throws `bug/invariant`.
 */
export function payloadText(hotpatch: Hotpatch, name: string): string {
  const bytes = hotpatch.payloads.get(name);
  if (bytes === undefined) {
    throw new RebootlessError("bug/invariant", `The hotpatch has no payload ${quoted(name)}.`);
  }
  const text = utf8Text(bytes);
  if (text === undefined) {
    throw new RebootlessError("bug/invariant", `The payload ${quoted(name)} is not UTF-8.`);
  }
  return text;
}

/** The text of UTF-8 bytes, byte-order mark included; undefined when they are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder's only error is that the bytes are not UTF-8, which the answer says.
    return undefined;
  }
}

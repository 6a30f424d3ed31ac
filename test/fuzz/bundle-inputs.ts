/** Native hotpatches and records of hotpatches, damaged as bytes and, under true signatures and digests, as values. */
import { createHash } from "node:crypto";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { encodeRecord, flagOffset, recordHeaderBytes } from "../../src/engine/linux/record.ts";
import { encodeHotpatch } from "../../src/hotpatch/container.ts";
import type { Hotpatch } from "../../src/hotpatch/hotpatch.ts";
import { containerOf, type KeyPair, newKey, payloadEntry, rawContainer } from "../hotpatch/support/sample.ts";
import { damageBlindly, edges, type Random } from "./random.ts";

// biome-ignore lint/suspicious/noExplicitAny: values are made wrong on purpose
type Json = any;

export function sampleNative(object: Buffer): Hotpatch {
  const sha256 = "5".repeat(64);
  return {
    manifest: {
      schema: "rebootless.hotpatch/1",
      id: "elf-sample-0123456789ab",
      sequence: 3,
      title: "sample: parse.c",
      advisories: [{ id: "CVE-2026-0001", severity: "high", summary: "parse reads beyond the end" }],
      target: { kind: "elf", name: "libsample.so.1", version: "1.0-1" },
      supersedes: ["elf-sample-older"],
      requirements: {},
      elf: {
        binaries: [
          {
            name: "libsample.so.1",
            buildId: "0123456789abcdef",
            type: "library",
            object: "libsample.so.1.o",
            functions: [
              { name: "parse", address: 4096, sizeBytes: 200, sha256, replacement: "parse", policy: "quiescent" },
              { name: "parse.cold", address: 8192, sizeBytes: 20, sha256, policy: "immediate" },
            ],
            symbols: [
              { kind: "address", name: "limit", address: 20480 },
              { kind: "import", name: "memcpy", version: "GLIBC_2.14", library: "libc.so.6" },
              { kind: "tls", name: "depth", offset: 16 },
            ],
          },
        ],
        hooks: {},
        afterApply: [
          { kind: "signal", signal: "SIGHUP" },
          { kind: "note", text: "Reload it." },
        ],
        notices: ["The fix acts at start."],
      },
      payloads: [payloadEntry("libsample.so.1.o", object)],
    },
    payloads: new Map([["libsample.so.1.o", object]]),
  };
}

export interface BundleSample {
  readonly hotpatch: Hotpatch;
  readonly key: KeyPair;
  readonly whole: Buffer;
  readonly body: Buffer;
}

export function bundleSample(object: Buffer): BundleSample {
  const hotpatch = sampleNative(object.subarray(0, 400));
  const key = newKey();
  return { hotpatch, key, whole: Buffer.from(encodeHotpatch(hotpatch, [key.signer])), body: object.subarray(0, 400) };
}

/** Signatures differ from run to run with the key, so the manifest's changes alone are the same for a seed. */
export function damageBundle({ hotpatch, key, whole, body }: BundleSample, random: Random): Buffer {
  switch (random.below(4)) {
    case 0:
      return damageBlindly(whole, random);
    case 1:
      return containerOf(
        valueBytes(damageValue(hotpatch.manifest, random)),
        random.oneIn(8) ? random.bytes(64) : body,
        [key.signer],
      );
    case 2:
      return containerOf(damageBlindly(valueBytes(hotpatch.manifest), random), body, [key.signer]);
    default:
      return rawContainer(
        damageBlindly(valueBytes({ payload: "e30=", payloadType: "x", signatures: [] }), random),
        body,
      );
  }
}

/** Canonical where the value has such a form; plain JSON, which is to be refused, where not. */
function valueBytes(value: Json): Buffer {
  try {
    return Buffer.from(canonicalJson(value));
  } catch {
    // `__proto__` as a name, a number without end: what canonical JSON will not write.
    return Buffer.from(JSON.stringify(value) ?? "null");
  }
}

const values: readonly Json[] = [
  -1,
  0,
  1.5,
  1e308,
  2 ** 53,
  "",
  "..",
  "/",
  "\0",
  "a".repeat(5000),
  "__proto__",
  [],
  {},
  null,
  true,
  [[[[[[[[]]]]]]]],
];

/** One or two places of the value hold another one, are gone, or are there a thousand times. */
export function damageValue(original: Json, random: Random): Json {
  const value = structuredClone(original) as Json;
  for (let count = 1 + random.below(2); count > 0; count--) {
    let node = value;
    for (;;) {
      const keys = Object.keys(node);
      if (keys.length === 0) break;
      const key = random.pick(keys);
      if (typeof node[key] === "object" && node[key] !== null && !random.oneIn(4)) {
        node = node[key];
        continue;
      }
      damageKey(node, key, random);
      break;
    }
  }
  return value;
}

function damageKey(node: Json, key: string, random: Random): void {
  switch (random.below(5)) {
    case 0:
      if (Array.isArray(node)) node.splice(Number(key), 1);
      else delete node[key];
      break;
    case 1:
      if (Array.isArray(node)) for (let count = random.below(1000); count > 0; count--) node.push(node[Number(key)]);
      else node[`${key}x`] = node[key];
      break;
    case 2:
      node[key] = Number(random.pick(edges));
      break;
    default:
      node[key] = structuredClone(random.pick(values));
  }
}

const recordBody = {
  id: "elf-sample-0123456789ab",
  digest: "c".repeat(64),
  preparedAt: 1_767_225_600_000,
  areas: [
    { address: 0x7f00_0000_0000, sizeBytes: 4096, kind: "constant" as const, sha256: "a".repeat(64) },
    { address: 0x7f00_0000_1000, sizeBytes: 8192, kind: "code" as const, sha256: "b".repeat(64) },
  ],
  functions: [
    {
      name: "parse",
      binary: "libsample.so.1",
      address: 0x7f00_1000_0000,
      sizeBytes: 200,
      entry: 0x7f00_1000_0004,
      original: "4157415641",
      jump: "e9fbffffff",
      gate: 0x7f00_0000_1000,
      replacement: 0x7f00_0000_1040,
      replacementBytes: 220,
      immediate: false,
    },
  ],
};

/** The bytes at the beginning of a mapping that look like a record, with its digest true or not. */
export function damageRecord(random: Random): Buffer {
  const whole = encodeRecord(recordBody);
  if (random.oneIn(3)) return damageBlindly(whole, random);
  const text = random.oneIn(2)
    ? valueBytes(damageValue(recordBody, random))
    : damageBlindly(whole.subarray(recordHeaderBytes), random);
  const bytes = Buffer.concat([whole.subarray(0, recordHeaderBytes), text]);
  bytes[flagOffset] = random.below(3);
  createHash("sha256").update(text).digest().copy(bytes, 32);
  bytes.writeUInt32LE(text.length, 24);
  return bytes;
}

/** A small valid hotpatch, and ways to bend it. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import { canonicalJson } from "../../../src/base/canonical-json.ts";
import { type Refusal, RefusalError } from "../../../src/base/refusal.ts";
import { containerVersion, headerBytes, magic } from "../../../src/hotpatch/container.ts";
import { encodeEnvelope } from "../../../src/hotpatch/dsse.ts";
import type { Hotpatch } from "../../../src/hotpatch/hotpatch.ts";
import { keyIdOf } from "../../../src/hotpatch/key.ts";
import type { Manifest } from "../../../src/hotpatch/manifest.ts";
import { type Signer, signPayload, type TrustStore } from "../../../src/hotpatch/signature.ts";

export const fixedText = "module.exports = function parse(text) { return JSON.parse(text); };\n";
export const liveText = "module.exports = function parse(text) { return JSON.parse(String(text)); };\n";
export const deltaText = "registry.limit = 10;\n";
export const addedText = "exports.helper = () => 'grüß';\n";

export function payloadEntry(name: string, bytes: Uint8Array): Manifest["payloads"][number] {
  return { name, sizeBytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Typed as plain JSON, so that tests can make it wrong in every way. */
export function sampleManifest(): Manifest {
  const texts = sampleTexts();
  return {
    schema: "rebootless.hotpatch/1",
    id: "npm-sample-1.0.0-to-1.0.1",
    sequence: 1,
    title: "sample 1.0.1",
    advisories: [{ id: "CVE-2026-0001", severity: "high", summary: "parse evaluates its input" }],
    target: { kind: "npm", name: "sample", version: "1.0.0", fixedVersion: "1.0.1" },
    supersedes: [],
    requirements: { node: ">=20" },
    node: {
      files: [
        {
          path: "lib/parse.js",
          format: "commonjs",
          before: { sha256: "a".repeat(64), length: 70 },
          after: "after/lib/parse.js",
          live: "live/lib/parse.js",
          functions: [{ name: "parse", start: 17, end: 74, before: { start: 17, end: 68 } }],
          delta: {
            text: "delta/lib/parse.js",
            scopes: [{ names: ["cache"], witnesses: [{ start: 17, end: 68 }] }],
            imports: ["./helper.js"],
          },
          registry: "__rebootless_0123456789ab",
          unreachable: [{ name: "pattern", line: 3, reason: "A copy of it is held by another module." }],
        },
      ],
      added: [{ path: "lib/helper.js", text: "added/lib/helper.js" }],
    },
    payloads: [...texts].map(([name, bytes]) => payloadEntry(name, bytes)),
  };
}

export function sampleTexts(): Map<string, Uint8Array> {
  return new Map([
    ["after/lib/parse.js", utf8(fixedText)],
    ["live/lib/parse.js", utf8(liveText)],
    ["delta/lib/parse.js", utf8(deltaText)],
    ["added/lib/helper.js", utf8(addedText)],
  ]);
}

export function sampleHotpatch(): Hotpatch {
  return { manifest: sampleManifest(), payloads: sampleTexts() };
}

export interface KeyPair {
  readonly signer: Signer;
  readonly publicKey: KeyObject;
}

export function newKey(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { signer: { keyId: keyIdOf(publicKey), privateKey }, publicKey };
}

export function trusting(...keys: readonly KeyPair[]): TrustStore {
  const entries = keys.map(({ signer, publicKey }) => {
    const key = { keyId: signer.keyId, name: "tester", publicKey, file: "tester.pub" };
    return [signer.keyId, key] as const;
  });
  return { directory: "/trusted", keys: new Map(entries) };
}

/** A container around any payload of the envelope, valid or not, with true signatures. */
export function containerOf(payload: Uint8Array, body: Uint8Array, signers: readonly Signer[] = []): Buffer {
  return rawContainer(
    encodeEnvelope({ payload, signatures: signers.map((signer) => signPayload(payload, signer)) }),
    body,
  );
}

/** A container around any bytes in the place of the envelope. */
export function rawContainer(envelope: Uint8Array, body: Uint8Array): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.set(magic);
  header.writeUInt32LE(containerVersion, 8);
  header.writeUInt32LE(envelope.length, 12);
  return Buffer.concat([header, envelope, body]);
}

/** A container whose manifest is the sample's after `change`, with the sample's payloads behind it. */
export function bentContainer(change: (manifest: Json) => void, signers: readonly Signer[] = []): Buffer {
  const manifest = JSON.parse(JSON.stringify(sampleManifest())) as Json;
  change(manifest);
  return containerOf(utf8(canonicalJson(manifest)), Buffer.concat([...sampleTexts().values()]), signers);
}

// biome-ignore lint/suspicious/noExplicitAny: a manifest that tests make wrong on purpose has no type
export type Json = any;

export function utf8(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "utf8"));
}

/** The one refusal that an action ends in. */
export function refusalOf(action: () => unknown): Refusal {
  try {
    action();
  } catch (error) {
    return onlyRefusal(error);
  }
  return assert.fail("it was not refused");
}

export async function refusalOfAsync(action: () => Promise<unknown>): Promise<Refusal> {
  try {
    await action();
  } catch (error) {
    return onlyRefusal(error);
  }
  return assert.fail("it was not refused");
}

function onlyRefusal(error: unknown): Refusal {
  assert.ok(error instanceof RefusalError, `expected a refusal, got ${String(error)}`);
  assert.equal(error.refusals.length, 1);
  return error.refusals[0]!;
}

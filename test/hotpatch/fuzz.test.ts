import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import { decodeHotpatch, encodeHotpatch, sha256 } from "../../src/hotpatch/container.ts";
import { openHotpatch } from "../../src/hotpatch/open-hotpatch.ts";
import { fc } from "../support/properties.ts";
import {
  containerOf,
  type Json,
  newKey,
  rawContainer,
  sampleHotpatch,
  sampleManifest,
  sampleTexts,
  trusting,
  utf8,
} from "./support/sample.ts";

const key = newKey();
const trust = trusting(key);
const body = Buffer.concat([...sampleTexts().values()]);

/** Reading either succeeds or refuses; anything else is a bug. */
function onlyRefuses(bytes: Uint8Array): void {
  for (const allowUnsigned of [false, true]) {
    try {
      openHotpatch(bytes, trust, { allowUnsigned });
    } catch (error) {
      assert.ok(error instanceof RefusalError, `threw ${String(error)}`);
      assert.ok(error.refusals.every((refusal) => refusal.code.startsWith("hotpatch/")));
    }
  }
}

describe("whatever is read, nothing but a refusal is thrown", () => {
  test("any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), onlyRefuses), { numRuns: 500 });
  });

  test("any envelope in a true container", () => {
    const envelope = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(utf8));
    fc.assert(
      fc.property(envelope, fc.uint8Array({ maxLength: 50 }), (bytes, rest) => onlyRefuses(rawContainer(bytes, rest))),
      { numRuns: 500 },
    );
  });

  test("any manifest under a true signature", () => {
    const manifest = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map(utf8),
      fc.jsonValue().map((value) => canonical(value)),
    );
    fc.assert(
      fc.property(manifest, (bytes) => onlyRefuses(containerOf(bytes, body, [key.signer]))),
      { numRuns: 500 },
    );
  });

  test("the sample with any value in any place", () => {
    const places = placesOf(sampleManifest());
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom<Json>(-1, 0, 1e308, "", "..", "/", "\0", "__proto__", [], {}, null),
    );
    fc.assert(
      fc.property(fc.constantFrom(...places), value, (place, replacement) => {
        const manifest = structuredClone(sampleManifest()) as Json;
        const parent = place.slice(0, -1).reduce((node: Json, step) => node[step], manifest);
        parent[place.at(-1)!] = replacement;
        onlyRefuses(containerOf(canonical(manifest), body, [key.signer]));
      }),
      { numRuns: 2000 },
    );
  });

  test("a good hotpatch with bytes replaced, cut out and put in", () => {
    const good = encodeHotpatch(sampleHotpatch(), [key.signer]);
    const edit = fc.record({ at: fc.nat(good.length), remove: fc.nat(20), insert: fc.uint8Array({ maxLength: 20 }) });
    fc.assert(
      fc.property(edit, ({ at, remove, insert }) => {
        const bytes = Buffer.concat([good.subarray(0, at), insert, good.subarray(at + remove)]);
        onlyRefuses(bytes);
        if (!bytes.equals(good)) {
          assert.throws(() => openHotpatch(bytes, trust, { allowUnsigned: false }), RefusalError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test("any texts come back as they were", () => {
  const text = fc.string({ unit: "binary", maxLength: 300 }).map((value) => value.toWellFormed());
  fc.assert(
    fc.property(
      fc.array(text, { minLength: 1, maxLength: 5 }),
      fc.string({ minLength: 1, maxLength: 40 }),
      (texts, title) => {
        const payloads = new Map(texts.map((value, index) => [`after/${index}`, utf8(value)]));
        const manifest = sampleManifest() as Json;
        manifest.title = title.toWellFormed();
        const file = { ...manifest.node.files[0], functions: [] };
        delete file.live;
        delete file.delta;
        manifest.node = {
          files: texts.map((_, index) => ({ ...file, path: `${index}.js`, after: `after/${index}` })),
          added: [],
        };
        manifest.payloads = [...payloads].map(([name, bytes]) => ({
          name,
          sizeBytes: bytes.length,
          sha256: sha256(bytes),
        }));
        const bytes = encodeHotpatch({ manifest, payloads }, [key.signer]);
        assert.deepEqual(decodeHotpatch(bytes).hotpatch, { manifest, payloads });
      },
    ),
    { numRuns: 200 },
  );
});

/** Canonical where the value has such a form; plain JSON, which is to be refused, where not. */
function canonical(value: unknown): Uint8Array {
  try {
    return utf8(canonicalJson(value));
  } catch {
    // A lone surrogate or `__proto__`: JSON.stringify writes what canonical JSON will not.
    return utf8(JSON.stringify(value));
  }
}

function placesOf(value: unknown, prefix: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== "object" || value === null) {
    return [];
  }
  const keys: (string | number)[] = Array.isArray(value) ? value.map((_, index) => index) : Object.keys(value);
  return keys.flatMap((name) => [[...prefix, name], ...placesOf((value as Json)[name], [...prefix, name])]);
}

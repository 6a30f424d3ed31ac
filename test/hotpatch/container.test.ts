import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { limits } from "../../src/base/limits.ts";
import { decodeHotpatch, encodeHotpatch, headerBytes } from "../../src/hotpatch/container.ts";
import { payloadText } from "../../src/hotpatch/hotpatch.ts";
import { openHotpatch } from "../../src/hotpatch/open-hotpatch.ts";
import {
  addedText,
  containerOf,
  newKey,
  payloadEntry,
  rawContainer,
  refusalOf,
  sampleHotpatch,
  sampleManifest,
  sampleTexts,
  trusting,
  utf8,
} from "./support/sample.ts";

const key = newKey();
const strict = { allowUnsigned: false };

describe("a hotpatch as bytes", () => {
  test("comes back as it went in", () => {
    const opened = openHotpatch(encodeHotpatch(sampleHotpatch(), [key.signer]), trusting(key), strict);
    assert.deepEqual(opened.hotpatch, sampleHotpatch());
    assert.deepEqual(opened.signedBy, [key.signer.keyId]);
    assert.equal(opened.trusted, true);
    assert.equal(payloadText(opened.hotpatch, "added/lib/helper.js"), addedText);
  });

  test("comes back from a view into a larger buffer", () => {
    const bytes = encodeHotpatch(sampleHotpatch(), []);
    const larger = Buffer.concat([Buffer.from("before"), bytes, Buffer.from("after")]);
    assert.deepEqual(decodeHotpatch(larger.subarray(6, 6 + bytes.length)).hotpatch, sampleHotpatch());
  });

  test("is the same for the same hotpatch and keys, whatever the order of members and keys", () => {
    const other = newKey();
    const expected = encodeHotpatch(sampleHotpatch(), [key.signer, other.signer]);
    const { manifest, payloads } = sampleHotpatch();
    const turned = Object.fromEntries(Object.entries(manifest).reverse()) as typeof manifest;
    assert.deepEqual(encodeHotpatch({ manifest: turned, payloads }, [other.signer, key.signer, key.signer]), expected);
    assert.notDeepEqual(encodeHotpatch(sampleHotpatch(), [key.signer]), expected);
  });

  test("has a digest that names the contents, not the signatures", () => {
    const unsigned = decodeHotpatch(encodeHotpatch(sampleHotpatch(), []));
    const signed = decodeHotpatch(encodeHotpatch(sampleHotpatch(), [key.signer]));
    assert.equal(signed.digest, unsigned.digest);
    const changed = sampleHotpatch();
    const next = decodeHotpatch(encodeHotpatch({ ...changed, manifest: { ...changed.manifest, sequence: 2 } }, []));
    assert.notEqual(next.digest, unsigned.digest);
  });

  test("lies in the file as the specification says", () => {
    const bytes = encodeHotpatch(sampleHotpatch(), [key.signer]);
    assert.equal(bytes.subarray(0, 8).toString("latin1"), "\x89RBLHP\r\n");
    assert.equal(bytes.readUInt32LE(8), 1);
    const envelopeLength = bytes.readUInt32LE(12);
    const envelope = JSON.parse(bytes.subarray(headerBytes, headerBytes + envelopeLength).toString("utf8"));
    assert.equal(envelope.payloadType, "application/vnd.rebootless.hotpatch+json");
    assert.deepEqual(JSON.parse(Buffer.from(envelope.payload, "base64").toString("utf8")), sampleManifest());
    assert.deepEqual(bytes.subarray(headerBytes + envelopeLength), Buffer.concat([...sampleTexts().values()]));
  });
});

describe("a changed hotpatch", () => {
  const bytes = encodeHotpatch(sampleHotpatch(), [key.signer]);
  const trust = trusting(key);

  test("is refused whichever bit of it changed", () => {
    for (let offset = 0; offset < bytes.length; offset++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[offset] = bytes[offset]! ^ (1 << bit);
        const { code, message } = refusalOf(() => openHotpatch(changed, trust, strict));
        assert.ok(code.startsWith("hotpatch/"), code);
        assert.ok(message.length > 0);
      }
    }
  });

  test("is refused wherever it is cut off", () => {
    for (let length = 0; length < bytes.length; length++) {
      const { code } = refusalOf(() => openHotpatch(bytes.subarray(0, length), trust, strict));
      assert.equal(code, "hotpatch/truncated", `at ${length}`);
    }
  });

  test("is refused as altered at every byte of its payloads, even unsigned and allowed", () => {
    const unsigned = encodeHotpatch(sampleHotpatch(), []);
    const payloadStart = headerBytes + unsigned.readUInt32LE(12);
    for (let offset = payloadStart; offset < unsigned.length; offset++) {
      const changed = Buffer.from(unsigned);
      changed[offset] = unsigned[offset]! ^ 0x20;
      const { code } = refusalOf(() => openHotpatch(changed, trusting(), { allowUnsigned: true }));
      assert.equal(code, "hotpatch/payload-altered");
    }
  });
});

describe("what is not a whole hotpatch of this version", () => {
  const bytes = encodeHotpatch(sampleHotpatch(), []);

  test("something else altogether", () => {
    const { code, message } = refusalOf(() => decodeHotpatch(Buffer.from("#!/bin/sh\necho no\n")));
    assert.equal(code, "hotpatch/not-a-hotpatch");
    assert.match(message, /is not a hotpatch/);
  });

  test("a later container", () => {
    const later = Buffer.from(bytes);
    later.writeUInt32LE(2, 8);
    const { code, message } = refusalOf(() => decodeHotpatch(later));
    assert.equal(code, "hotpatch/version-unknown");
    assert.match(message, /container version 2.*reads version 1/);
  });

  test("bytes after the end", () => {
    const { code, message } = refusalOf(() => decodeHotpatch(Buffer.concat([bytes, Buffer.alloc(3)])));
    assert.equal(code, "hotpatch/trailing-bytes");
    assert.match(message, /nothing may follow; bytes that do: 3\./);
  });

  test("an envelope that claims to be enormous is refused before it is looked for", () => {
    const huge = Buffer.from(bytes);
    huge.writeUInt32LE(0xffff_ffff, 12);
    const { code, message } = refusalOf(() => decodeHotpatch(huge));
    assert.equal(code, "hotpatch/too-large");
    assert.match(message, /4294967295 bytes/);
  });

  test("a file above the limit", () => {
    const { code } = refusalOf(() => decodeHotpatch(new Uint8Array(limits.hotpatchBytes + 1)));
    assert.equal(code, "hotpatch/too-large");
  });

  test("payloads that are announced and missing", () => {
    const { code, message } = refusalOf(() =>
      decodeHotpatch(containerOf(utf8(canonicalJson(sampleManifest())), utf8("short"))),
    );
    assert.equal(code, "hotpatch/truncated");
    assert.match(message, /of payloads are announced, 5 are there/);
  });
});

describe("an envelope that is not the one form", () => {
  const payload = Buffer.from(canonicalJson(sampleManifest())).toString("base64");
  const body = Buffer.concat([...sampleTexts().values()]);
  const payloadType = "application/vnd.rebootless.hotpatch+json";
  const signature = { keyid: "b".repeat(64), sig: Buffer.alloc(64).toString("base64") };
  const rows: [what: string, envelope: string, message: RegExp][] = [
    ["not JSON", "{", /is not JSON/],
    ["white space", `{"payload": "${payload}","payloadType":"${payloadType}","signatures":[]}`, /not canonical/],
    [
      "a member twice",
      `{"payload":"","payload":"${payload}","payloadType":"${payloadType}","signatures":[]}`,
      /not canonical/,
    ],
    ["nesting without end", "[".repeat(100_000), /nested deeper than 4/],
    ["not UTF-8", "\xff\xfe", /is not UTF-8/],
    ["another field", canonicalJson({ extra: 1, payload, payloadType, signatures: [] }), /\/extra.*not a field/],
    [
      "another payload type",
      canonicalJson({ payload, payloadType: "text/plain", signatures: [] }),
      /payloadType: must be application/,
    ],
    [
      "base64 of the URL kind",
      canonicalJson({ payload: "_-8=", payloadType, signatures: [] }),
      /\/payload: must be canonical base64/,
    ],
    [
      "base64 with stray bits",
      canonicalJson({ payload: "AB==", payloadType, signatures: [] }),
      /\/payload: must be canonical base64/,
    ],
    [
      "a short signature",
      canonicalJson({ payload, payloadType, signatures: [{ ...signature, sig: "AAAA" }] }),
      /must be 64 bytes/,
    ],
    [
      "a key id that is none",
      canonicalJson({ payload, payloadType, signatures: [{ ...signature, keyid: "alice" }] }),
      /\/signatures\/0\/keyid/,
    ],
    ["a signer twice", canonicalJson({ payload, payloadType, signatures: [signature, signature] }), /each once/],
  ];
  for (const [what, envelope, message] of rows) {
    test(what, () => {
      const refusal = refusalOf(() => decodeHotpatch(rawContainer(Buffer.from(envelope, "latin1"), body)));
      assert.equal(refusal.code, "hotpatch/envelope-invalid");
      assert.match(refusal.message, message);
    });
  }

  test("more signatures than are read", () => {
    const signatures = Array.from({ length: limits.signatures + 1 }, (_, index) => ({
      ...signature,
      keyid: index.toString(16).padStart(64, "0"),
    }));
    const envelope = canonicalJson({ payload, payloadType, signatures });
    const refusal = refusalOf(() => decodeHotpatch(rawContainer(Buffer.from(envelope), body)));
    assert.equal(refusal.code, "hotpatch/too-large");
    assert.match(refusal.message, /17 signatures; at most 16/);
  });
});

describe("writing", () => {
  test("refuses a payload that differs from the manifest", () => {
    const { manifest, payloads } = sampleHotpatch();
    const shorter = new Map(payloads).set("after/lib/parse.js", utf8("short"));
    assert.equal(refusalOf(() => encodeHotpatch({ manifest, payloads: shorter }, [])).code, "hotpatch/payload-size");
    const same = Buffer.from(payloads.get("after/lib/parse.js")!);
    same[0] = 0x20;
    const altered = new Map(payloads).set("after/lib/parse.js", same);
    assert.equal(refusalOf(() => encodeHotpatch({ manifest, payloads: altered }, [])).code, "hotpatch/payload-altered");
  });

  test("refuses payloads that are missing, unlisted, or no text", () => {
    const { manifest, payloads } = sampleHotpatch();
    const missing = new Map(payloads);
    missing.delete("added/lib/helper.js");
    assert.match(
      refusalOf(() => encodeHotpatch({ manifest, payloads: missing }, [])).message,
      /\/payloads\/3 lists "added\/lib\/helper.js"/,
    );
    const unlisted = new Map(payloads).set("more", utf8("x"));
    assert.match(
      refusalOf(() => encodeHotpatch({ manifest, payloads: unlisted }, [])).message,
      /does not list the payload "more"/,
    );
    const binary = Uint8Array.of(0xff, 0xfe);
    const withBinary = {
      ...manifest,
      payloads: [...manifest.payloads.slice(0, 3), payloadEntry("added/lib/helper.js", binary)],
    };
    const refusal = refusalOf(() =>
      encodeHotpatch({ manifest: withBinary, payloads: new Map(payloads).set("added/lib/helper.js", binary) }, []),
    );
    assert.match(refusal.message, /"added\/lib\/helper.js", which is not UTF-8/);
  });

  test("refuses more keys than are read", () => {
    const signers = Array.from({ length: limits.signatures + 1 }, () => newKey().signer);
    assert.equal(refusalOf(() => encodeHotpatch(sampleHotpatch(), signers)).code, "hotpatch/too-large");
    const most = encodeHotpatch(sampleHotpatch(), signers.slice(1));
    assert.equal(decodeHotpatch(most).envelope.signatures.length, limits.signatures);
  });
});

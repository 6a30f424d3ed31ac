import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canonicalJson } from "../../src/base/canonical-json.ts";
import { decodeHotpatch, encodeHotpatch } from "../../src/hotpatch/container.ts";
import { encodeEnvelope, preAuthenticationEncoding } from "../../src/hotpatch/dsse.ts";
import { openHotpatch } from "../../src/hotpatch/open-hotpatch.ts";
import { type Signer, signPayload, verifySignatures } from "../../src/hotpatch/signature.ts";
import {
  newKey,
  rawContainer,
  refusalOf,
  sampleHotpatch,
  sampleManifest,
  sampleTexts,
  trusting,
  utf8,
} from "./support/sample.ts";

const alice = newKey();
const mallory = newKey();
const strict = { allowUnsigned: false };
const lenient = { allowUnsigned: true };

function signedBy(...signers: readonly Signer[]): Buffer {
  return encodeHotpatch(sampleHotpatch(), signers);
}

describe("who vouches for a hotpatch", () => {
  test("the pre-authentication encoding is that of the DSSE specification's example", () => {
    const encoded = preAuthenticationEncoding("http://example.com/HelloWorld", utf8("hello world"));
    assert.equal(Buffer.from(encoded).toString(), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  });

  test("one trusted signer is enough, beside others that are not known", () => {
    const opened = openHotpatch(signedBy(alice.signer, mallory.signer), trusting(alice), strict);
    assert.deepEqual(opened.signedBy, [alice.signer.keyId]);
    assert.deepEqual(opened.claimedBy, [mallory.signer.keyId]);
    assert.equal(opened.trusted, true);
  });

  test("the two steps of opening can be taken one by one", () => {
    const decoded = decodeHotpatch(signedBy(alice.signer));
    assert.deepEqual(verifySignatures(decoded, trusting(alice)), [alice.signer.keyId]);
    assert.equal(refusalOf(() => verifySignatures(decoded, trusting(mallory))).code, "hotpatch/signer-unknown");
  });

  test("an unsigned hotpatch is refused, and says how to go on", () => {
    const { code, message } = refusalOf(() => openHotpatch(signedBy(), trusting(alice), strict));
    assert.equal(code, "hotpatch/unsigned");
    assert.match(message, /no signature.*key generate.*--allow-unsigned/);
  });

  test("an unknown signer is refused by name", () => {
    const { code, message } = refusalOf(() => openHotpatch(signedBy(mallory.signer), trusting(alice), strict));
    assert.equal(code, "hotpatch/signer-unknown");
    assert.ok(message.includes(mallory.signer.keyId));
  });

  test("a machine that trusts no key at all says so, and where it looked", () => {
    const { code, message } = refusalOf(() => openHotpatch(signedBy(alice.signer), trusting(), strict));
    assert.equal(code, "hotpatch/no-trusted-key");
    assert.match(message, /"\/trusted" holds none.*key trust/);
  });

  test("at the author's desk the unsigned and the unknown are opened, and never called trusted", () => {
    for (const bytes of [signedBy(), signedBy(mallory.signer)]) {
      const opened = openHotpatch(bytes, trusting(alice), lenient);
      assert.equal(opened.trusted, false);
      assert.deepEqual(opened.signedBy, []);
      assert.ok(opened.untrusted);
      assert.deepEqual(opened.hotpatch, sampleHotpatch());
    }
  });
});

describe("a forged signature", () => {
  const body = Buffer.concat([...sampleTexts().values()]);
  const manifest = utf8(canonicalJson(sampleManifest()));
  const other = utf8(canonicalJson({ ...sampleManifest(), sequence: 2 }));

  const rows: [what: string, bytes: Buffer][] = [
    [
      "of another hotpatch",
      rawContainer(encodeEnvelope({ payload: manifest, signatures: [signPayload(other, alice.signer)] }), body),
    ],
    [
      "by another key under a trusted name",
      rawContainer(
        encodeEnvelope({
          payload: manifest,
          signatures: [{ ...signPayload(manifest, mallory.signer), keyId: alice.signer.keyId }],
        }),
        body,
      ),
    ],
    [
      "of zeros",
      rawContainer(
        encodeEnvelope({
          payload: manifest,
          signatures: [{ keyId: alice.signer.keyId, signature: new Uint8Array(64) }],
        }),
        body,
      ),
    ],
  ];
  for (const [what, bytes] of rows) {
    test(`${what} is refused, even with --allow-unsigned`, () => {
      for (const policy of [strict, lenient]) {
        const { code, message } = refusalOf(() => openHotpatch(bytes, trusting(alice), policy));
        assert.equal(code, "hotpatch/signature-invalid");
        assert.match(message, /altered after it was signed/);
      }
    });
  }

  test("beside a good one is refused", () => {
    const bob = newKey();
    const signatures = [
      signPayload(manifest, alice.signer),
      { keyId: bob.signer.keyId, signature: new Uint8Array(64) },
    ];
    const bytes = rawContainer(encodeEnvelope({ payload: manifest, signatures }), body);
    assert.equal(refusalOf(() => openHotpatch(bytes, trusting(alice, bob), strict)).code, "hotpatch/signature-invalid");
  });

  test("is found before the manifest is even parsed", () => {
    const payload = utf8("{ not a manifest");
    const bytes = rawContainer(encodeEnvelope({ payload, signatures: [signPayload(manifest, alice.signer)] }), body);
    assert.equal(refusalOf(() => openHotpatch(bytes, trusting(alice), strict)).code, "hotpatch/signature-invalid");
  });
});

/**
 * Who vouches for a hotpatch: signing, and checking of signatures against the keys that are trusted here.
 *
 * A key id in an envelope is a claim that anyone can write (DSSE protocol, "keyid"): only a signature that verifies under a trusted key counts.
 */
import { type KeyObject, sign, verify } from "node:crypto";
import { quoted } from "../base/printable.ts";
import type { Refusal } from "../base/refusal.ts";
import { RefusalError } from "../base/refusal.ts";
import { type Envelope, type EnvelopeSignature, type KeyId, payloadType, preAuthenticationEncoding } from "./dsse.ts";

/** A private key that can sign. */
export interface Signer {
  readonly keyId: KeyId;
  readonly privateKey: KeyObject;
}

export interface TrustedKey {
  readonly keyId: KeyId;
  /** From the name of its file; for people. */
  readonly name: string;
  readonly publicKey: KeyObject;
  /** Where it was read. */
  readonly file: string;
}

export interface TrustStore {
  /** Where the keys were read from, for messages. */
  readonly directory: string;
  readonly keys: ReadonlyMap<KeyId, TrustedKey>;
}

/** Anything signed by an envelope, such as a decoded hotpatch. */
export interface Signed {
  readonly envelope: Envelope;
}

export interface SignatureCheck {
  /** Trusted keys whose signature verifies, in the order of their ids. */
  readonly signedBy: readonly KeyId[];
  /** Key ids that the envelope names and this machine does not know; nothing about them is proven. */
  readonly claimedBy: readonly KeyId[];
  /** Why the hotpatch is not trusted; absent when it is. */
  readonly refusal?: Refusal;
}

/** Signs a payload; Ed25519 is deterministic (RFC 8032 §5.1.6), so the same key gives the same bytes. */
export function signPayload(payload: Uint8Array, signer: Signer): EnvelopeSignature {
  const message = preAuthenticationEncoding(payloadType, payload);
  return { keyId: signer.keyId, signature: sign(null, message, signer.privateKey) };
}

/**
 * Checks every signature of an envelope; answers rather than throws, except for one that is wrong.
 *
 * A signature that claims a trusted key and does not verify throws `hotpatch/signature-invalid`, even beside a good one: somebody changed the file.
 */
export function checkSignatures(signed: Signed, trust: TrustStore): SignatureCheck {
  const { payload, signatures } = signed.envelope;
  const message = preAuthenticationEncoding(payloadType, payload);
  const signedBy: KeyId[] = [];
  const claimedBy: KeyId[] = [];
  for (const { keyId, signature } of signatures) {
    const key = trust.keys.get(keyId);
    if (key === undefined) {
      claimedBy.push(keyId);
    } else if (verify(null, message, key.publicKey, signature)) {
      signedBy.push(keyId);
    } else {
      throw new RefusalError(badSignature(key));
    }
  }
  if (signedBy.length > 0) {
    return { signedBy, claimedBy };
  }
  return { signedBy, claimedBy, refusal: whyUntrusted(claimedBy, trust) };
}

/** The trusted keys that signed. Refuses with `hotpatch/unsigned`, `hotpatch/no-trusted-key`, `hotpatch/signer-unknown` or `hotpatch/signature-invalid`. */
export function verifySignatures(signed: Signed, trust: TrustStore): readonly KeyId[] {
  const check = checkSignatures(signed, trust);
  if (check.refusal !== undefined) {
    throw new RefusalError(check.refusal);
  }
  return check.signedBy;
}

function badSignature(key: TrustedKey): Refusal {
  return {
    code: "hotpatch/signature-invalid",
    message: `The signature by the trusted key ${key.keyId} does not fit the hotpatch: the file was altered after it was signed. Get it again from its author.`,
    details: { keyId: key.keyId },
  };
}

function whyUntrusted(claimedBy: readonly KeyId[], trust: TrustStore): Refusal {
  if (claimedBy.length === 0) {
    return {
      code: "hotpatch/unsigned",
      message:
        "The hotpatch carries no signature. Build it with a signing key (`rebootless key generate`), or, at the desk of its author, allow it with --allow-unsigned.",
    };
  }
  if (trust.keys.size === 0) {
    return {
      code: "hotpatch/no-trusted-key",
      message: `No key is trusted on this machine: ${quoted(trust.directory)} holds none. Trust the public key of the hotpatch's author with \`rebootless key trust FILE.pub\`.`,
      details: { trustDirectory: trust.directory, claimedBy },
    };
  }
  return {
    code: "hotpatch/signer-unknown",
    message: `The hotpatch is signed by a key that is not trusted here (it names ${claimedBy.join(", ")}). If you know its owner, trust the public key with \`rebootless key trust FILE.pub\`.`,
    details: { trustDirectory: trust.directory, claimedBy },
  };
}

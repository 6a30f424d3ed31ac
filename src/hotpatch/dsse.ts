/**
 * The signed envelope: DSSE (Dead Simple Signing Envelope), protocol v1.0.2 and its JSON form.
 *
 * What is signed is the pre-authentication encoding of the payload type and the payload, so that a signature made for one kind of document never fits another.
 * The envelope itself is held to canonical JSON, canonical base64 and signatures in the order of their key ids, which leaves one file for one hotpatch and set of keys.
 */
import { type Static, Type } from "typebox";
import { canonicalJson, parseCanonicalJson } from "../base/canonical-json.ts";
import { RebootlessError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { refuse } from "../base/refusal.ts";
import { checkSchema } from "../base/schema-check.ts";

export const payloadType = "application/vnd.rebootless.hotpatch+json";

/** SHA-256 of the public key's SPKI DER, in lower-case hexadecimal. */
export type KeyId = string;

/** An Ed25519 signature is 64 bytes (RFC 8032 §5.1.6). */
export const signatureBytes = 64;

export interface EnvelopeSignature {
  readonly keyId: KeyId;
  readonly signature: Uint8Array;
}

export interface Envelope {
  /** What is signed: for a hotpatch, the canonical JSON of its manifest. */
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

const closed = { additionalProperties: false } as const;
const EnvelopeJson = Type.Object(
  {
    payload: Type.String(),
    payloadType: Type.String(),
    signatures: Type.Array(
      Type.Object({ keyid: Type.String({ pattern: "^[0-9a-f]{64}$" }), sig: Type.String() }, closed),
    ),
  },
  closed,
);

/** DSSE protocol, "PAE": `DSSEv1 SP LEN(type) SP type SP LEN(body) SP body`, lengths in ASCII decimal. */
export function preAuthenticationEncoding(type: string, body: Uint8Array): Uint8Array {
  const typeBytes = Buffer.from(type, "utf8");
  return Buffer.concat([Buffer.from(`DSSEv1 ${typeBytes.length} `), typeBytes, Buffer.from(` ${body.length} `), body]);
}

/** The envelope's one JSON form in UTF-8. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const signatures = [...envelope.signatures]
    .sort((left, right) => (left.keyId < right.keyId ? -1 : 1))
    .map(({ keyId, signature }) => ({ keyid: keyId, sig: base64(signature) }));
  return Buffer.from(canonicalJson({ payload: base64(envelope.payload), payloadType, signatures }), "utf8");
}

/** Reads an envelope; structure only, no signature is checked. Refuses with `hotpatch/envelope-invalid`, or `hotpatch/too-large` for too many signatures. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const json = parseEnvelope(bytes);
  if (json.payloadType !== payloadType) {
    invalid("/payloadType", `must be ${payloadType}`);
  }
  if (json.signatures.length > limits.signatures) {
    refuse(
      "hotpatch/too-large",
      `The hotpatch carries ${json.signatures.length} signatures; at most ${limits.signatures} are read.`,
    );
  }
  const signatures = json.signatures.map(({ keyid, sig }, index) => {
    const signature = fromBase64(sig, `/signatures/${index}/sig`);
    if (signature.length !== signatureBytes) {
      invalid(`/signatures/${index}/sig`, `must be ${signatureBytes} bytes`);
    }
    const previous = json.signatures[index - 1];
    if (previous !== undefined && previous.keyid >= keyid) {
      invalid(`/signatures/${index}/keyid`, "must come after the key id before it, each once");
    }
    return { keyId: keyid, signature };
  });
  return { payload: fromBase64(json.payload, "/payload"), signatures };
}

function parseEnvelope(bytes: Uint8Array): Static<typeof EnvelopeJson> {
  let value: unknown;
  try {
    // The payload is one string, so the string limit is that of the envelope; an envelope with the most signatures has a few dozen elements.
    value = parseCanonicalJson(bytes, { maxDepth: 4, maxElements: 1000, maxStringBytes: limits.envelopeBytes });
  } catch (error) {
    if (error instanceof RebootlessError && error.code === "input/json-invalid") {
      invalid("", error.message);
    }
    throw error;
  }
  return checkSchema(EnvelopeJson, value, ({ field, problem }) => invalid(field, problem));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** RFC 4648 §3.5: other spellings of the same bytes are refused, since Node's decoder would accept them. */
function fromBase64(text: string, field: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) {
    invalid(field, "must be canonical base64");
  }
  return bytes;
}

function invalid(field: string, problem: string): never {
  const where = field === "" ? "its envelope" : `its envelope's ${field}`;
  refuse("hotpatch/envelope-invalid", `The hotpatch is damaged or was made by another program: ${where}: ${problem}.`, {
    field,
  });
}

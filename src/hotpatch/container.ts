/**
 * The `.hotpatch` container: bytes to values and back, with no I/O and no trust.
 *
 * Layout: magic, container version, envelope length, envelope, payloads in the manifest's order; nothing between, nothing after.
 * docs/hotpatch-format.md is the specification.
 * Reading checks every length against the bytes that are there and against base/limits.ts before it uses it, and copies no payload.
 */
import { createHash } from "node:crypto";
import { canonicalJson, parseCanonicalJson } from "../base/canonical-json.ts";
import { RebootlessError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { quoted } from "../base/printable.ts";
import { refuse } from "../base/refusal.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope } from "./dsse.ts";
import { type Hotpatch, utf8Text } from "./hotpatch.ts";
import type { Mark, Payload, TextRange } from "./manifest.ts";
import { checkManifest, manifestInvalid } from "./manifest-check.ts";
import { type Signer, signPayload } from "./signature.ts";

/** As in PNG: a first byte above 7 bits and a CR LF show at once that a transfer took the file for text. */
export const magic = Uint8Array.of(0x89, 0x52, 0x42, 0x4c, 0x48, 0x50, 0x0d, 0x0a);
export const containerVersion = 1;
/** Magic, version (u32 LE), envelope length (u32 LE). */
export const headerBytes = 16;

/** A container taken apart, its manifest not looked into yet. */
export interface Container {
  readonly envelope: Envelope;
  /** Everything behind the envelope. */
  readonly body: Uint8Array;
}

export interface DecodedHotpatch {
  readonly hotpatch: Hotpatch;
  readonly envelope: Envelope;
  /** SHA-256 of the signed manifest, in hexadecimal: names the contents, payloads included, whoever signed them. */
  readonly digest: string;
}

/**
 * The bytes of a hotpatch, the same for the same hotpatch and keys; with no signer, an unsigned one.
 * Refuses what `decodeHotpatch` would refuse.
 */
export function encodeHotpatch(hotpatch: Hotpatch, signers: readonly Signer[]): Buffer {
  const manifest = checkManifest(hotpatch.manifest);
  const listed = new Set(manifest.payloads.map((payload) => payload.name));
  for (const name of hotpatch.payloads.keys()) {
    if (!listed.has(name)) {
      manifestInvalid("/payloads", `does not list the payload ${quoted(name)}`);
    }
  }
  checkPayloads(hotpatch);
  checkTexts(hotpatch);
  const payload = Buffer.from(canonicalJson(manifest), "utf8");
  const distinct = [...new Map(signers.map((signer) => [signer.keyId, signer])).values()];
  if (distinct.length > limits.signatures) {
    refuse("hotpatch/too-large", `${distinct.length} keys would sign the hotpatch; at most ${limits.signatures} may.`);
  }
  const envelope = encodeEnvelope({ payload, signatures: distinct.map((signer) => signPayload(payload, signer)) });
  checkEnvelopeSize(envelope.length);
  const header = Buffer.alloc(headerBytes);
  header.set(magic);
  header.writeUInt32LE(containerVersion, 8);
  header.writeUInt32LE(envelope.length, 12);
  const bytes = Buffer.concat([
    header,
    envelope,
    ...manifest.payloads.map(({ name }) => hotpatch.payloads.get(name) ?? new Uint8Array()),
  ]);
  checkFileSize(bytes.length);
  // What was written is read again: parts of the reader's checks, such as the bounds of the JSON, see only bytes.
  decodeHotpatch(bytes);
  return bytes;
}

/** Structure only: every length, digest, path and name is checked, and no signature. The payloads are views of `bytes`. */
export function decodeHotpatch(bytes: Uint8Array): DecodedHotpatch {
  return decodeContents(decodeContainer(bytes));
}

/** Takes the container apart as far as the envelope, so that signatures can be checked before the manifest is parsed. */
export function decodeContainer(bytes: Uint8Array): Container {
  checkFileSize(bytes.length);
  const start = bytes.subarray(0, magic.length);
  if (start.some((byte, index) => byte !== magic[index])) {
    refuse("hotpatch/not-a-hotpatch", "The file is not a hotpatch: it does not begin as one does.");
  }
  if (bytes.length < headerBytes) {
    truncated(headerBytes, bytes.length);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== containerVersion) {
    refuse(
      "hotpatch/version-unknown",
      `The hotpatch has container version ${version}; this rebootless reads version ${containerVersion}. Use a rebootless that knows it.`,
      { version },
    );
  }
  const envelopeLength = view.getUint32(12, true);
  checkEnvelopeSize(envelopeLength);
  const bodyStart = headerBytes + envelopeLength;
  if (bodyStart > bytes.length) {
    truncated(bodyStart, bytes.length);
  }
  return {
    envelope: decodeEnvelope(viewOf(bytes, headerBytes, envelopeLength)),
    body: viewOf(bytes, bodyStart, bytes.length - bodyStart),
  };
}

/** Reads the manifest and the payloads of a container. */
export function decodeContents(container: Container): DecodedHotpatch {
  const { envelope, body } = container;
  const manifest = checkManifest(parseManifest(envelope.payload));
  const expectedBytes = manifest.payloads.reduce((sum, payload) => sum + payload.sizeBytes, 0);
  if (expectedBytes > body.length) {
    truncated(expectedBytes, body.length, "of payloads");
  }
  if (expectedBytes < body.length) {
    refuse(
      "hotpatch/trailing-bytes",
      `Behind the last payload of the hotpatch nothing may follow; bytes that do: ${body.length - expectedBytes}. Get the file again from its author.`,
    );
  }
  const payloads = new Map<string, Uint8Array>();
  let offset = 0;
  for (const { name, sizeBytes } of manifest.payloads) {
    payloads.set(name, viewOf(body, offset, sizeBytes));
    offset += sizeBytes;
  }
  const hotpatch = { manifest, payloads };
  checkPayloads(hotpatch);
  checkTexts(hotpatch);
  return { hotpatch, envelope, digest: sha256(envelope.payload) };
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Refuses a file that is larger than any hotpatch may be. */
export function checkFileSize(sizeBytes: number): void {
  if (sizeBytes > limits.hotpatchBytes) {
    refuse("hotpatch/too-large", `The file has ${sizeBytes} bytes; a hotpatch has at most ${limits.hotpatchBytes}.`, {
      sizeBytes,
    });
  }
}

function checkEnvelopeSize(sizeBytes: number): void {
  if (sizeBytes > limits.envelopeBytes) {
    refuse(
      "hotpatch/too-large",
      `The envelope of the hotpatch has ${sizeBytes} bytes; at most ${limits.envelopeBytes} are read.`,
      { sizeBytes },
    );
  }
}

function truncated(neededBytes: number, presentBytes: number, what = "in all"): never {
  refuse(
    "hotpatch/truncated",
    `The hotpatch is cut short: ${neededBytes} bytes ${what} are announced, ${presentBytes} are there. Get the file again.`,
    { neededBytes, presentBytes },
  );
}

/** A plain `Uint8Array` over the same memory, whatever kind of view `bytes` is. */
function viewOf(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length);
}

function parseManifest(payload: Uint8Array): unknown {
  try {
    return parseCanonicalJson(payload, {
      maxDepth: limits.jsonDepth,
      maxElements: limits.jsonElements,
      maxStringBytes: limits.jsonStringBytes,
    });
  } catch (error) {
    if (error instanceof RebootlessError && error.code === "input/json-invalid") {
      manifestInvalid("", error.message);
    }
    throw error;
  }
}

function checkPayloads(hotpatch: Hotpatch): void {
  for (const [index, payload] of hotpatch.manifest.payloads.entries()) {
    const bytes = hotpatch.payloads.get(payload.name);
    if (bytes === undefined) {
      manifestInvalid(`/payloads/${index}`, `lists ${quoted(payload.name)}, which has no bytes`);
    }
    checkPayload(payload, bytes);
  }
}

function checkPayload(payload: Payload, bytes: Uint8Array): void {
  if (bytes.length !== payload.sizeBytes) {
    refuse(
      "hotpatch/payload-size",
      `The payload ${quoted(payload.name)} has ${bytes.length} bytes; the manifest says ${payload.sizeBytes}.`,
    );
  }
  if (sha256(bytes) !== payload.sha256) {
    refuse(
      "hotpatch/payload-altered",
      `The payload ${quoted(payload.name)} was altered: its SHA-256 is not the one in the manifest. Get the hotpatch again from its author.`,
    );
  }
}

/** Every text must be UTF-8, and every place in a text must lie inside it, so that no engine has to ask again. Payloads of native hotpatches are no texts. */
function checkTexts(hotpatch: Hotpatch): void {
  const { node } = hotpatch.manifest;
  if (node === undefined) return;
  const lengths = textLengths(hotpatch);
  for (const [index, file] of node.files.entries()) {
    const field = `/node/files/${index}`;
    const liveLength = file.live === undefined ? 0 : (lengths.get(file.live) ?? 0);
    for (const [place, found] of file.functions.entries()) {
      checkPlace(`${field}/functions/${place}`, found, liveLength);
      checkPlace(`${field}/functions/${place}/before`, found.before, file.before.length);
      checkAscending(`${field}/functions/${place}/lineEnds`, found.lineEnds ?? [], found);
    }
    checkMarks(`${field}/marks/before`, file.marks?.before ?? [], file.before.length);
    checkMarks(`${field}/marks/live`, file.marks?.live ?? [], liveLength);
    for (const [scope, { witnesses }] of (file.delta?.scopes ?? []).entries()) {
      for (const [place, witness] of witnesses.entries()) {
        checkPlace(`${field}/delta/scopes/${scope}/witnesses/${place}`, witness, file.before.length);
      }
    }
  }
}

/** In UTF-16 code units, by payload; each payload is decoded once however often it is named. */
function textLengths(hotpatch: Hotpatch): ReadonlyMap<string, number> {
  const lengths = new Map<string, number>();
  for (const [index, { name }] of hotpatch.manifest.payloads.entries()) {
    const text = utf8Text(hotpatch.payloads.get(name) ?? new Uint8Array());
    if (text === undefined) {
      manifestInvalid(`/payloads/${index}`, `lists ${quoted(name)}, which is not UTF-8`);
    }
    lengths.set(name, text.length);
  }
  return lengths;
}

function checkPlace(field: string, place: TextRange, lengthUnits: number): void {
  if (place.start >= place.end || place.end > lengthUnits) {
    manifestInvalid(field, `lies outside its text (${place.start} to ${place.end} of ${lengthUnits})`);
  }
}

function checkMarks(field: string, marks: readonly Mark[], lengthUnits: number): void {
  for (const [index, mark] of marks.entries()) {
    checkPlace(`${field}/${index}`, mark, lengthUnits);
    checkAscending(`${field}/${index}/at`, [mark.at], mark);
  }
  checkAscending(
    field,
    marks.map(({ at }) => at),
    { start: 0, end: lengthUnits },
  );
}

function checkAscending(field: string, offsets: readonly number[], { start, end }: TextRange): void {
  for (const [index, offset] of offsets.entries()) {
    const previous = offsets[index - 1] ?? start - 1;
    if (offset <= previous || offset > end) {
      manifestInvalid(field, `has the place ${offset}, which is out of order or outside its text`);
    }
  }
}

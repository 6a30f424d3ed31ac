/**
 * The one table of limits on what is read from outside.
 *
 * Each is checked before anything is allocated for the value that it bounds.
 * docs/hotpatch-format.md prints the same table, and a test compares the two.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  /** A whole `.hotpatch` file. */
  hotpatchBytes: 256 * MiB,
  /** The DSSE envelope inside it, as JSON. */
  envelopeBytes: 16 * MiB,
  /** One payload. */
  payloadBytes: 64 * MiB,
  /** Payloads in one hotpatch. */
  payloads: 20_000,
  /** Signatures on one envelope. */
  signatures: 16,
  /** How deep arrays and objects of the manifest may stand in one another. */
  jsonDepth: 16,
  /** Members and elements in the whole of the manifest, counted by its commas. */
  jsonElements: 400_000,
  /** One string of the manifest, in bytes as it is written. */
  jsonStringBytes: 128 * KiB,
  /** A path in a manifest, in UTF-16 code units. */
  pathUnits: 512,
  /** A key file, private or public. */
  keyFileBytes: 16 * KiB,
  /** A passphrase, in bytes of UTF-8. */
  passphraseBytes: 1024,
  /** Keys in one trust store. */
  trustedKeys: 1000,
} as const;

export type Limit = keyof typeof limits;

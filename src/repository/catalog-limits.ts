/**
 * Limits on what a client takes from a catalog, each checked while bytes arrive and before they are parsed.
 *
 * A writer keeps the same limits, so that no catalog grows past what its clients read.
 * docs/catalog.md prints the table, and a test compares the two.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

export const catalogLimits = {
  /** One root metadata file (TUF specification 5.3.3). */
  rootBytes: 500 * KiB,
  /** timestamp.json (5.4.1). */
  timestampBytes: 16 * KiB,
  /** One snapshot metadata file (5.5.1). */
  snapshotBytes: 1 * MiB,
  /** One targets metadata file, delegated ones included (5.6.1). */
  targetsBytes: 4 * MiB,
  /** Roots that one refresh follows (5.3.3). */
  rootRotations: 256,
  /** Delegated roles that one look-up visits (5.6.7.1). */
  delegations: 32,
  /** How deep arrays and objects of a metadata file stand in one another. */
  jsonDepth: 16,
  /** Commas in one metadata file, outside of strings. */
  jsonElements: 400_000,
  /** One string of a metadata file, in bytes as it is written. */
  jsonStringBytes: 16 * KiB,
  /** Files of trusted metadata that a client keeps for one catalog. */
  keptFiles: 64,
  /** Silence on a connection after which a transfer is given up, in milliseconds. */
  silenceMs: 15_000,
  /** One metadata file from its request to its last byte, in milliseconds. */
  metadataMs: 60_000,
  /** One hotpatch from its request to its last byte, in milliseconds. */
  hotpatchMs: 1_800_000,
} as const;

export type CatalogLimits = { readonly [Name in keyof typeof catalogLimits]: number };

/** Hotpatches as the catalog tells of them. */
import { type Static, Type } from "typebox";
import { HotpatchId, Nullable, record } from "./basics.ts";
import { Danger, Release, StoredAdvisory, Withdrawal } from "./catalog.ts";

/** A build-id (NT_GNU_BUILD_ID), in hexadecimal. */
export const BuildId = Type.String({ pattern: "^([0-9a-f]{2}){4,64}$" });

export const Hotpatch = record(
  {
    id: HotpatchId,
    title: Type.String(),
    sequence: Type.Integer(),
    advisories: Type.Array(record({ id: Type.String(), severity: Type.Optional(Type.String()) })),
    target: record({
      kind: Type.String(),
      name: Type.String(),
      version: Type.Optional(Type.String()),
      fixedVersion: Type.Optional(Type.String()),
    }),
    /** For native programs: which binaries it changes, and their functions; of more than 24, the first ones. */
    binaries: Type.Optional(
      Type.Array(
        record({
          name: Type.String(),
          buildId: BuildId,
          functions: Type.Array(record({ name: Type.String(), sizeBytes: Type.Integer() })),
          functionCount: Type.Integer(),
        }),
      ),
    ),
    supersedes: Type.Array(Type.String()),
    digest: Type.String(),
    sizeBytes: Type.Integer({ minimum: 0 }),
    release: Release,
    ...Danger,
  },
  { $id: "Hotpatch" },
);
export type Hotpatch = Static<typeof Hotpatch>;

/** One hotpatch with all that is known of it; `hotpatch` is null where it was withdrawn. */
export const HotpatchDetails = record(
  {
    hotpatch: Nullable(Hotpatch),
    withdrawal: Nullable(Withdrawal),
    /** Ids of hotpatches that supersede it. */
    supersededBy: Type.Array(Type.String()),
    /** What imported advisories say of the holes that it closes: beside what is signed, with its source. */
    advisoryNotes: Type.Array(StoredAdvisory),
  },
  { $id: "HotpatchDetails" },
);
export type HotpatchDetails = Static<typeof HotpatchDetails>;

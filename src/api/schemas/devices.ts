/** Devices and what they tell of themselves. */
import { type Static, Type } from "typebox";
import { apiLimits } from "../api-limits.ts";
import { factTypes } from "../fact-catalog.ts";
import { closed, GroupId, Instant, Nullable, record, Title, Uuid, words } from "./basics.ts";

export const FactName = Type.String({ pattern: "^[a-z][0-9a-zA-Z_.-]{0,127}$" });
export const FactValue = Type.Union([
  Type.String({ maxLength: 4096 }),
  Type.Number(),
  Type.Boolean(),
  Type.Array(Type.String({ maxLength: 512 }), { maxItems: 256 }),
  // Packages and programs by name: one fact each, since a row for every package of every device would be hundreds of millions.
  Type.Record(Type.String({ pattern: "^[^\\u0000-\\u001f]{1,256}$" }), Type.String({ maxLength: 512 }), {
    ...closed,
    maxProperties: apiLimits.factEntries,
  }),
]);
export type FactValue = Static<typeof FactValue>;

export const Facts = Type.Record(FactName, FactValue, {
  $id: "Facts",
  ...closed,
  maxProperties: apiLimits.factsPerDevice,
});
export type Facts = Static<typeof Facts>;

/** What changed since the facts of revision `base`; null takes a fact away. With base 0 the changes are the whole. */
export const FactsChange = record(
  {
    base: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    changes: Type.Record(FactName, Nullable(FactValue), { ...closed, maxProperties: apiLimits.factsPerDevice }),
  },
  { $id: "FactsChange" },
);
export type FactsChange = Static<typeof FactsChange>;

export const deviceStates = ["enrolled", "revoked"] as const;

export const Device = record(
  {
    id: Uuid,
    name: Title,
    state: words(deviceStates),
    enrolledAt: Instant,
    /** The last request that carried its certificate, to the minute. */
    lastSeenAt: Nullable(Instant),
    factsRevision: Type.Integer({ minimum: 0 }),
    groups: Type.Array(GroupId),
  },
  { $id: "Device" },
);
export type Device = Static<typeof Device>;

export const DeviceFacts = record({ revision: Type.Integer({ minimum: 0 }), facts: Facts }, { $id: "DeviceFacts" });

/** A row of the catalog of facts; a word in capitals in a name stands for many facts. */
export const KnownFact = record(
  {
    name: Type.String(),
    type: words(factTypes),
    unit: Type.Optional(Type.String()),
    meaning: Type.String(),
    source: Type.String(),
  },
  { $id: "KnownFact" },
);
export type KnownFact = Static<typeof KnownFact>;

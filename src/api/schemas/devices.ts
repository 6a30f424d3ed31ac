/** Devices and what they tell of themselves. */
import { type Static, Type } from "typebox";
import { apiLimits } from "../api-limits.ts";
import { factTypes } from "../fact-catalog.ts";
import {
  closed,
  FilterText,
  GroupId,
  Instant,
  Nullable,
  PageQuery,
  record,
  Tag,
  Title,
  Uuid,
  words,
} from "./basics.ts";

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
    tags: Type.Array(Tag),
  },
  { $id: "Device" },
);
export type Device = Static<typeof Device>;

export const DeviceFacts = record(
  {
    revision: Type.Integer({ minimum: 0 }),
    facts: Facts,
    /** When each of them changed last, as the server saw it; null of those that were told before that was kept. */
    changedAt: Type.Record(FactName, Nullable(Instant), { ...closed, maxProperties: apiLimits.factsPerDevice }),
  },
  { $id: "DeviceFacts" },
);
export type DeviceFacts = Static<typeof DeviceFacts>;

export const deviceSorts = ["id", "name", "-name", "enrolledAt", "-enrolledAt", "lastSeenAt", "-lastSeenAt"] as const;
export type DeviceSort = (typeof deviceSorts)[number];

/** A search: all that is given has to hold. */
export const DeviceSearch = record({
  ...PageQuery,
  filter: Type.Optional(FilterText),
  /** Words, each of which is in the name, a tag, the beginning of the id, or what the device tells of its system and machine; capitals do not count. */
  text: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  group: Type.Optional(GroupId),
  state: Type.Optional(words(deviceStates)),
  sort: Type.Optional(words(deviceSorts)),
});
export type DeviceSearch = Static<typeof DeviceSearch>;

/** What changes among the tags of a device. */
export const TagChange = record(
  {
    add: Type.Optional(Type.Array(Tag, { maxItems: apiLimits.tagsPerDevice })),
    remove: Type.Optional(Type.Array(Tag, { maxItems: apiLimits.tagsPerDevice })),
  },
  { $id: "TagChange" },
);
export type TagChange = Static<typeof TagChange>;

/** Why a device is in a group, or what leaves it open whether it is. */
export const GroupReason = record(
  {
    groupId: GroupId,
    title: Title,
    member: Type.Boolean(),
    because: Type.Array(
      record({
        /** `every`: the group has every device. `open`: its filter asks for facts that the device does not tell. */
        kind: words(["every", "by-hand", "filter", "child", "open", "excluded-group", "excepted"]),
        /** The group below, or the one that is excluded. */
        groupId: Type.Optional(GroupId),
        filter: Type.Optional(Type.String()),
        missing: Type.Optional(Type.Array(Type.String())),
        why: Type.Optional(Type.String()),
      }),
    ),
  },
  { $id: "GroupReason" },
);
export type GroupReason = Static<typeof GroupReason>;

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

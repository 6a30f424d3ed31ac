/** The state of each device for each product: what a hotpatch targets, as `elf/expat`. */
import { type Static, Type } from "typebox";
import { blockCodeNames } from "../block-codes.ts";
import { productStates, stateCodes } from "../device-state-table.ts";
import { GroupId, HotpatchId, Instant, Nullable, PageQuery, record, Title, Uuid, words } from "./basics.ts";

/** Kind and name of what a hotpatch targets. */
export const Product = Type.String({ pattern: "^[a-z][a-z0-9-]{0,30}/[^\\u0000-\\u001f]{1,214}$" });
const Code = words([...stateCodes, ...blockCodeNames]);
const Sequence = Type.Integer({ minimum: 0 });

export const DeviceState = record(
  {
    deviceId: Uuid,
    deviceName: Title,
    product: Product,
    state: words(productStates),
    code: Code,
    /** The hotpatch that it is about: the newest that is wanted, or is in place. Null where the device is not targeted. */
    hotpatchId: Nullable(HotpatchId),
    sequence: Nullable(Sequence),
    /** The newest one that is in memory, which may be an older one. */
    inPlace: Nullable(record({ hotpatchId: HotpatchId, sequence: Sequence })),
    /** Why it is so. */
    reason: Type.String(),
    /** What would change it. */
    helps: Type.String(),
    since: Nullable(Instant),
    /** When it ends by itself. */
    until: Nullable(Instant),
  },
  { $id: "DeviceState" },
);
export type DeviceState = Static<typeof DeviceState>;

export const OfferBlock = record(
  {
    hotpatchId: HotpatchId,
    code: words(blockCodeNames),
    /** The id of the rule, the hold or the policy; empty where there is but one. */
    subject: Type.String(),
    reason: Type.String(),
    helps: Type.String(),
    since: Instant,
    until: Nullable(Instant),
  },
  { $id: "OfferBlock" },
);
export type OfferBlock = Static<typeof OfferBlock>;

/** With everything that keeps hotpatches of the product off the device, the one that counts first. */
export const ExplainedState = record(
  {
    ...DeviceState.properties,
    blocks: Type.Array(OfferBlock),
    /** Holds that what is in memory has come under; it stays. */
    heldInPlace: Type.Array(record({ holdId: Type.String(), reason: Type.String() })),
  },
  { $id: "ExplainedState" },
);
export type ExplainedState = Static<typeof ExplainedState>;

/** All that is given has to hold; `notTargeted` needs a product. */
export const DeviceStateSearch = record({
  ...PageQuery,
  product: Type.Optional(Product),
  state: Type.Optional(words(productStates)),
  group: Type.Optional(GroupId),
});
export type DeviceStateSearch = Static<typeof DeviceStateSearch>;

const Count = Type.Integer({ minimum: 0 });

/** How many devices of a product are in each state; `devices` is how many there are. */
export const StateCounts = record(
  {
    product: Product,
    devices: Count,
    states: Type.Object(Object.fromEntries(productStates.map((state) => [state, Count])), {
      additionalProperties: false,
    }),
  },
  { $id: "StateCounts" },
);
export type StateCounts = Static<typeof StateCounts>;

/** Groups of devices. */
import { type Static, Type } from "typebox";
import { apiLimits } from "../api-limits.ts";
import { FilterText, GroupId, Instant, Nullable, record, Title, Uuid } from "./basics.ts";

/** Found by a filter, or put in by hand. */
export const groupKinds = ["static", "dynamic"] as const;

export const Group = record(
  {
    id: GroupId,
    title: Title,
    /** In the end: of its own and of the groups below it, less those that are left out. */
    devices: Type.Integer({ minimum: 0 }),
    createdAt: Instant,
    kind: Type.Unsafe<(typeof groupKinds)[number]>(Type.Enum([...groupKinds])),
    /** Null of `all` alone. */
    parentId: Nullable(GroupId),
    /** Null of static groups. */
    filter: Nullable(Type.String()),
    /** Groups whose devices are left out. */
    excludes: Type.Array(GroupId),
    /** How many devices are left out by name. */
    exceptions: Type.Integer({ minimum: 0 }),
  },
  { $id: "Group" },
);
export type Group = Static<typeof Group>;

const Excludes = Type.Array(GroupId, { maxItems: apiLimits.groups, uniqueItems: true });

export const NewGroup = record(
  {
    id: GroupId,
    title: Type.Optional(Title),
    /** `all` unless told. */
    parentId: Type.Optional(GroupId),
    /** With it the group is dynamic. */
    filter: Type.Optional(FilterText),
    excludes: Type.Optional(Excludes),
  },
  { $id: "NewGroup" },
);
export type NewGroup = Static<typeof NewGroup>;

/** What is absent stays as it is. */
export const GroupChange = record(
  {
    title: Type.Optional(Title),
    parentId: Type.Optional(GroupId),
    filter: Type.Optional(FilterText),
    excludes: Type.Optional(Excludes),
  },
  { $id: "GroupChange" },
);
export type GroupChange = Static<typeof GroupChange>;

export const PreviewRequest = record(
  {
    filter: FilterText,
    /** Says as well who would join and leave this group. */
    groupId: Type.Optional(GroupId),
  },
  { $id: "PreviewRequest" },
);

const Count = Type.Integer({ minimum: 0 });

/** Of `devices` devices that are enrolled, `matching` match; the others fail, or are left open by facts that they lack. */
export const Preview = record(
  {
    devices: Count,
    matching: Count,
    open: Count,
    /** Facts that leave it open, with how many devices lack each. */
    lacking: Type.Array(record({ fact: Type.String(), devices: Count })),
    /** Some that match, by id. */
    examples: Type.Array(record({ id: Uuid, name: Title })),
    /** Of the group that was named: by its filter alone, before exclusions. */
    joining: Type.Optional(Count),
    leaving: Type.Optional(Count),
  },
  { $id: "Preview" },
);
export type Preview = Static<typeof Preview>;

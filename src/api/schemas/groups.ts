/** Groups of devices. */
import { type Static, Type } from "typebox";
import { GroupId, Instant, record, Title } from "./basics.ts";

export const Group = record(
  { id: GroupId, title: Title, devices: Type.Integer({ minimum: 0 }), createdAt: Instant },
  { $id: "Group" },
);
export type Group = Static<typeof Group>;
export const NewGroup = record({ id: GroupId, title: Type.Optional(Title) }, { $id: "NewGroup" });

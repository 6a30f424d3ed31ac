/** People, what they may do and where, and who did what. */
import { type Static, Type } from "typebox";
import { GroupId, record, words } from "./basics.ts";

/**
 * `auditor`: reads everything. `operator`: the work of a day: actions, pauses, holds, groups, tags, enrolment tokens.
 * `approver`: approves rollouts and updates. `publisher`: what the catalog follows, and known issues.
 * `administrator`: people, tokens and settings; it neither reads the fleet nor approves by itself.
 */
export const roles = ["auditor", "operator", "approver", "publisher", "administrator"] as const;
export type Role = (typeof roles)[number];

/** A role, for the devices of a group and of all groups below it; `all` is every device, and what belongs to no device as well. */
export const Grant = record({ role: words(roles), groupId: GroupId }, { $id: "Grant" });
export type Grant = Static<typeof Grant>;

/**
 * `person`: by a session. `token`: by an API token, whose person is named. `local`: over the socket in the server's state folder.
 * `device`: an agent. `scheduler`: because time passed. `server`: by itself. `nobody`: somebody who has not proven who he is.
 */
export const byKinds = ["person", "token", "device", "local", "scheduler", "server", "nobody"] as const;

/** How a session began. */
export const signInMethods = ["link", "password", "passkey", "oidc"] as const;
export type SignInMethod = (typeof signInMethods)[number];

/** Who did it. */
export const By = record(
  {
    kind: words(byKinds),
    /** Of the person, the device. */
    id: Type.Optional(Type.String()),
    /** Of the person, as it was then. */
    name: Type.Optional(Type.String()),
    /** Of the API token. */
    tokenId: Type.Optional(Type.String()),
  },
  { $id: "By" },
);
export type By = Static<typeof By>;

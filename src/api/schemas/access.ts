/** People, what they may do and where, and who did what. */
import { type Static, Type } from "typebox";
import { apiLimits } from "../api-limits.ts";
import { GroupId, Instant, Nullable, PageQuery, record, Title, Uuid, words } from "./basics.ts";

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

/** What a person is called on a command line, and by whoever signs him in. */
export const PersonName = Type.String({ pattern: "^[a-z0-9][a-z0-9._@-]{0,62}$" });
/** Roles that are given at once, at most. */
const Grants = Type.Array(Grant, { maxItems: 100 });

/** `disabled`: may not come in; sessions and sign-in links are gone. */
export const personStates = ["enabled", "disabled"] as const;
export const Person = record(
  {
    id: Uuid,
    name: PersonName,
    title: Type.String(),
    state: words(personStates),
    createdAt: Instant,
    grants: Type.Array(Grant),
  },
  { $id: "Person" },
);
export type Person = Static<typeof Person>;
export const PersonSearch = record({ ...PageQuery, name: Type.Optional(PersonName) });
export type PersonSearch = Static<typeof PersonSearch>;
export const NewPerson = record(
  { name: PersonName, title: Type.Optional(Title), grants: Type.Optional(Grants) },
  { $id: "NewPerson" },
);
export type NewPerson = Static<typeof NewPerson>;
export const PersonChange = record(
  { title: Type.Optional(Title), state: Type.Optional(words(personStates)) },
  { $id: "PersonChange" },
);
export type PersonChange = Static<typeof PersonChange>;

/** A session that has not ended; `current` is the one that asks, and `address` and `program` where it was begun. */
export const PersonSession = record(
  {
    id: Uuid,
    method: words(signInMethods),
    createdAt: Instant,
    /** Its last request, to the minute. */
    seenAt: Instant,
    expiresAt: Instant,
    address: Type.String(),
    program: Type.String(),
    current: Type.Boolean(),
  },
  { $id: "PersonSession" },
);
export type PersonSession = Static<typeof PersonSession>;

const tokenFields = {
  id: Uuid,
  title: Title,
  grants: Type.Array(Grant),
  createdAt: Instant,
  expiresAt: Instant,
  /** Its last request, to the minute; null before the first. */
  usedAt: Nullable(Instant),
};
export const ApiToken = record(tokenFields, { $id: "ApiToken" });
export type ApiToken = Static<typeof ApiToken>;
/** `token` is shown this once; the server keeps its digest. */
export const MadeToken = record({ ...tokenFields, token: Type.String() }, { $id: "MadeToken" });
export type MadeToken = Static<typeof MadeToken>;
export const NewApiToken = record(
  {
    title: Title,
    /** Roles of one's own, each in a group of one's own or below it. */
    grants: Type.Array(Grant, { minItems: 1, maxItems: 100 }),
    /** For how many days it is good; `apiTokenDaysByDefault` unless told. */
    days: Type.Optional(Type.Integer({ minimum: 1, maximum: apiLimits.apiTokenDays })),
  },
  { $id: "NewApiToken" },
);
export type NewApiToken = Static<typeof NewApiToken>;

export const Password = Type.String({ minLength: 1, maxLength: 512 });
export const PasswordSignIn = record({ name: PersonName, password: Password }, { $id: "PasswordSignIn" });
export const NewPassword = record({ password: Password }, { $id: "NewPassword" });
export const OwnPassword = record({ current: Password, password: Password }, { $id: "OwnPassword" });

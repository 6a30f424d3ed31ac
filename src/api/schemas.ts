/**
 * The contract's values: what travels between server, agent, console and command, as TypeBox schemas.
 *
 * A schema is a JSON Schema (2020-12) at run time and a type at compile time.
 * Every object is closed, and every string, list and number that is read is bounded.
 * Instants are RFC 3339 date-times in UTC with milliseconds; durations say their unit in their name.
 */
import { type Static, type TProperties, type TSchema, Type } from "typebox";
import { apiLimits } from "./api-limits.ts";

const closed = { additionalProperties: false } as const;

/** An object without unknown fields; `$id` names it in the OpenAPI document. */
export function record<Properties extends TProperties>(properties: Properties, options: { $id?: string } = {}) {
  return Type.Object(properties, { ...closed, ...options });
}

/** One of a list of words. */
function words<const Words extends readonly string[]>(list: Words) {
  return Type.Unsafe<Words[number]>(Type.Enum([...list]));
}

/** A version 4 UUID (RFC 9562 section 5.4) in lower case. */
export const Uuid = Type.String({ pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$" });
export const GroupId = Type.String({ pattern: "^[a-z0-9][a-z0-9-]{0,62}$" });
export const HotpatchId = Type.String({ pattern: "^[0-9A-Za-z][0-9A-Za-z._@+-]{0,199}$" });
export const Instant = Type.String({ pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$" });
const Title = Type.String({ minLength: 1, maxLength: 200 });
const Reason = Type.String({ maxLength: 2000 });
const Pem = Type.String({ minLength: 1, maxLength: 8192 });
const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** A page of a list: `next` is the cursor of the following page, absent on the last. */
export function pageOf<Item extends TSchema>(item: Item) {
  return record({ items: Type.Array(item), next: Type.Optional(Type.String()) });
}

export const PageQuery = {
  /** Where an earlier page ended: its `next`, taken as it is. */
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 400, pattern: "^[0-9A-Za-z_-]+$" })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: apiLimits.pageItems })),
};

// Devices and what they tell of themselves.

export const FactName = Type.String({ pattern: "^[a-z][0-9a-zA-Z_.-]{0,127}$" });
export const FactValue = Type.Union([
  Type.String({ maxLength: 4096 }),
  Type.Number(),
  Type.Boolean(),
  Type.Array(Type.String({ maxLength: 512 }), { maxItems: 256 }),
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

export const Group = record(
  { id: GroupId, title: Title, devices: Type.Integer({ minimum: 0 }), createdAt: Instant },
  { $id: "Group" },
);
export type Group = Static<typeof Group>;
export const NewGroup = record({ id: GroupId, title: Type.Optional(Title) }, { $id: "NewGroup" });

// Hotpatches, approvals, actions.

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
  },
  { $id: "Hotpatch" },
);
export type Hotpatch = Static<typeof Hotpatch>;

/** That a hotpatch is wanted on every device of a group. */
export const Approval = record(
  { id: Uuid, hotpatchId: HotpatchId, groupId: GroupId, createdAt: Instant, createdBy: Type.String() },
  { $id: "Approval" },
);
export type Approval = Static<typeof Approval>;
export const NewApproval = record({ hotpatchId: HotpatchId, groupId: GroupId }, { $id: "NewApproval" });

export const actionStates = [
  "offered",
  "fetching",
  "fetched",
  "planned",
  "applying",
  "applied",
  "verifying",
  "verified",
  "reverting",
  "reverted",
  "refused",
  "failed",
  "withdrawn",
] as const;
export type ActionState = (typeof actionStates)[number];

/** What an agent tells of an action. */
export const agentEvents = [
  "fetch-started",
  "fetch-done",
  "plan-done",
  "apply-started",
  "apply-done",
  "verify-started",
  "verify-done",
  "revert-started",
  "revert-done",
  "refuse",
  "fail",
] as const;
export type AgentEvent = (typeof agentEvents)[number];

/** What an administrator asks of an action. */
export const administratorEvents = ["offer", "withdraw", "revert"] as const;
export type AdministratorEvent = (typeof administratorEvents)[number];

/** How it stands with an action in one process. */
export const processStates = ["patched", "verified", "reverted", "refused", "failed"] as const;

/** What was proven in the memory of a native program. */
export const NativeEvidence = record(
  {
    buildIds: Type.Array(BuildId, { maxItems: apiLimits.buildIdsPerProcess }),
    functions: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
    /** Of the text of these binaries, against their files and the hotpatches in them. */
    comparedBytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    /** Whether a sacrificial process tried it before; for native programs there is none. */
    rehearsed: Type.Boolean(),
  },
  { $id: "NativeEvidence" },
);
export type NativeEvidence = Static<typeof NativeEvidence>;

export const ProcessOutcome = record(
  {
    pid: Type.Integer({ minimum: 1, maximum: 0x7fff_ffff }),
    state: words(processStates),
    /** The beginning of its command line. */
    command: Type.Optional(Type.String({ maxLength: 200 })),
    /** The longest stretch for which it stood still, in milliseconds. */
    pauseMs: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
    /** Why it refused or failed: a code of the closed lists. */
    code: Type.Optional(Type.String({ pattern: "^[a-z]+/[a-z-]{1,60}$" })),
    native: Type.Optional(NativeEvidence),
  },
  { $id: "ProcessOutcome" },
);
export type ProcessOutcome = Static<typeof ProcessOutcome>;
const ProcessOutcomes = Type.Array(ProcessOutcome, { maxItems: apiLimits.processesPerReport });

/** A hotpatch on a device. */
export const Action = record(
  {
    id: Uuid,
    deviceId: Uuid,
    hotpatchId: HotpatchId,
    wanted: words(["applied", "reverted"]),
    state: words(actionStates),
    /** Why it was refused, failed or taken back, or what else there is to say of it, in the agent's words. */
    reason: Type.String(),
    /** The processes that it concerns, as the agent told last. */
    processes: ProcessOutcomes,
    createdAt: Instant,
    changedAt: Instant,
    /** When it entered each state that it has been in, the last time. */
    times: Type.Partial(Type.Object(Object.fromEntries(actionStates.map((state) => [state, Instant])), closed)),
  },
  { $id: "Action" },
);
export type Action = Static<typeof Action>;

/** What an agent has to do: its actions that are not settled. */
export const Assignment = record(
  {
    /** Rises whenever the server changes what this agent has to do; goes into the next poll as `after`. */
    revision: Type.Integer({ minimum: 0 }),
    actions: Type.Array(Action),
  },
  { $id: "Assignment" },
);
export type Assignment = Static<typeof Assignment>;

/** One step of an action. The same report under the same key counts once, however often it is sent. */
export const Report = record(
  {
    key: Type.String({ pattern: "^[0-9A-Za-z_-]{16,64}$" }),
    actionId: Uuid,
    event: words(agentEvents),
    reason: Type.Optional(Reason),
    /** Every process that the action concerns at this moment; absent where nothing is to be said of them. */
    processes: Type.Optional(ProcessOutcomes),
    /** By the device's own clock; kept in the event, and nothing is decided by it. */
    at: Type.Optional(Instant),
  },
  { $id: "Report" },
);
export type Report = Static<typeof Report>;

export const ActionRequest = record({ event: words(administratorEvents) }, { $id: "ActionRequest" });

// Events.

export const eventKinds = [
  "server-started",
  "events-dropped",
  "token-made",
  "device-enrolled",
  "device-renewed",
  "device-revoked",
  "facts-changed",
  "group-made",
  "group-removed",
  "device-joined",
  "device-left",
  "approval-made",
  "approval-removed",
  "action-offered",
  "action-changed",
  "sign-in-link-made",
  "signed-in",
  "signed-out",
] as const;
export type EventKind = (typeof eventKinds)[number];

export const Event = record(
  {
    /** Rises by one with each event and is never used twice, so that a gap shows; what was dropped for its age is told by `events-dropped`. */
    sequence: Type.Integer({ minimum: 1 }),
    at: Instant,
    kind: words(eventKinds),
    /** What it is about, as `device:ID`, `group:ID`, `approval:ID`, `action:ID` or `server`. */
    subject: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: "Event" },
);
export type Event = Static<typeof Event>;

// Enrolment and sign-in.

export const TokenRequest = record(
  {
    minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: apiLimits.tokenMinutes })),
    /** The group that the device joins, besides `all`. */
    groupId: Type.Optional(GroupId),
  },
  { $id: "TokenRequest" },
);
/** `token` is shown this once; the server keeps its digest. It carries the SHA-256 of the authority's certificate as well, by which an agent knows the server. */
export const EnrolmentToken = record({ token: Type.String(), expiresAt: Instant }, { $id: "EnrolmentToken" });

export const EnrolmentRequest = record(
  { token: Type.String({ minLength: 1, maxLength: 256 }), name: Title, certificateRequest: Pem },
  { $id: "EnrolmentRequest" },
);
export const RenewalRequest = record({ certificateRequest: Pem }, { $id: "RenewalRequest" });
export const Enrolment = record(
  { deviceId: Uuid, certificate: Type.String(), authority: Type.String(), expiresAt: Instant },
  { $id: "Enrolment" },
);
export type Enrolment = Static<typeof Enrolment>;
/** What an agent pins at its enrolment: the root of the catalog (TUF metadata), and public keys of authors of hotpatches (SPKI, PEM). */
export const Trust = record(
  { catalogRoot: Nullable(Type.String()), authorKeys: Type.Array(Type.String()) },
  { $id: "Trust" },
);
export type Trust = Static<typeof Trust>;
export const Authority = record({ certificate: Type.String(), sha256: Type.String() }, { $id: "Authority" });
/** `link` is shown this once, and works once. */
export const SignInLink = record({ link: Type.String(), expiresAt: Instant }, { $id: "SignInLink" });
export const Session = record({ administrator: Type.String(), expiresAt: Type.Optional(Instant) }, { $id: "Session" });

/** Actions, which follow from approvals: a hotpatch on a device. */
import { type Static, Type } from "typebox";
import { apiLimits } from "../api-limits.ts";
import { closed, HotpatchId, Instant, Reason, record, Uuid, words } from "./basics.ts";
import { BuildId } from "./hotpatches.ts";

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

/** A code of the closed lists. */
const Code = Type.String({ pattern: "^[a-z]+/[a-z-]{1,60}$" });

export const ProcessOutcome = record(
  {
    pid: Type.Integer({ minimum: 1, maximum: 0x7fff_ffff }),
    state: words(processStates),
    /** The beginning of its command line. */
    command: Type.Optional(Type.String({ maxLength: 200 })),
    /** The longest stretch for which it stood still, in milliseconds. */
    pauseMs: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
    /** Why it refused or failed: a code of the closed lists. */
    code: Type.Optional(Code),
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

/** Reports in the order in which they came to be; each is taken or declined by itself, as if it had been sent alone. */
export const Reports = record(
  { reports: Type.Array(Report, { minItems: 1, maxItems: apiLimits.reportsAtOnce }) },
  { $id: "Reports" },
);

/** What became of each, in the same order: when its action changed, or the code of why it was declined for good. */
export const ReportAnswers = record(
  {
    answers: Type.Array(
      Type.Union([record({ changedAt: Instant }), record({ declined: Code, reason: Type.String() })]),
    ),
  },
  { $id: "ReportAnswers" },
);
export type ReportAnswers = Static<typeof ReportAnswers>;

export const ActionRequest = record({ event: words(administratorEvents) }, { $id: "ActionRequest" });

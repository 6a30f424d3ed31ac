/** Events as sentences that a person reads. Pure; whatever a name holds stays text. */
import type { ActionState } from "../api/schemas/actions.ts";
import type { Event } from "../api/schemas/events.ts";
import { type Standing, stateWords } from "./action-words.ts";

/** What ids stand for; the id itself where nothing better is known. */
export interface Names {
  device(id: string): string;
  hotpatch(id: string): string;
}

export interface Sentence {
  readonly text: string;
  /** The agent's or server's reason, where there is one. */
  readonly reason?: string;
  readonly tone: Standing | "plain";
  /** A step on the way rather than a result; hidden unless every step is asked for. */
  readonly step: boolean;
}

const steps: ReadonlySet<ActionState> = new Set(["fetching", "fetched", "planned", "applying", "applied", "verifying"]);

const phrases: Readonly<Record<ActionState, (hotpatch: string, device: string) => string>> = {
  offered: (hotpatch, device) => `${hotpatch} was offered again to ${device}`,
  fetching: (hotpatch, device) => `${device} fetches ${hotpatch}`,
  fetched: (hotpatch, device) => `${device} has fetched ${hotpatch}`,
  planned: (hotpatch, device) => `${device} has planned ${hotpatch}`,
  applying: (hotpatch, device) => `${device} applies ${hotpatch}`,
  applied: (hotpatch, device) => `${hotpatch} was applied on ${device}`,
  verifying: (hotpatch, device) => `${device} verifies ${hotpatch} in memory`,
  verified: (hotpatch, device) => `${hotpatch} is verified in memory on ${device}`,
  reverting: (hotpatch, device) => `${hotpatch} is being taken back on ${device}`,
  reverted: (hotpatch, device) => `${hotpatch} was taken back on ${device}`,
  refused: (hotpatch, device) => `${device} refused ${hotpatch}`,
  failed: (hotpatch, device) => `${hotpatch} failed on ${device}`,
  withdrawn: (hotpatch, device) => `${hotpatch} was withdrawn from ${device} before it began`,
};

/** Whoever did it, as the beginning or the end of a sentence. */
function people(by: Event["by"]): string {
  switch (by?.kind) {
    case "person":
      return by.name ?? "somebody";
    case "token":
      return `an API token of ${by.name ?? "somebody"}`;
    case "local":
      return "the command on the server";
    case "device":
      return "the device itself";
    case "scheduler":
    case "server":
      return "the server";
    default:
      return "somebody";
  }
}

/** As the decisions of approvals are told. */
function decided(action: string | undefined): string {
  if (action === "removal") return "approved for removal";
  return action === "not-approved" ? "set to not approved" : "approved";
}

function actionSentence(data: Record<string, string>, names: Names): Sentence {
  const state = data.to as ActionState;
  const reason = data.reason === undefined ? {} : { reason: data.reason };
  const words = stateWords[state];
  if (words === undefined) return { text: `An action is ${data.to}`, tone: "plain", step: false, ...reason };
  const text = phrases[state](names.hotpatch(data.hotpatchId ?? ""), names.device(data.deviceId ?? ""));
  const tone = words.standing === "off" ? "plain" : words.standing;
  return { text, tone, step: steps.has(state), ...reason };
}

/** Those that need nothing of the event to be told. */
const plain: Partial<Readonly<Record<Event["kind"], string>>> = {
  "issue-made": "A known issue was written down",
  "issue-changed": "A known issue was changed",
  "hold-made": "A safeguard hold was made",
  "hold-narrowed": "A safeguard hold was narrowed",
  "hold-released": "A safeguard hold was released",
  "session-ended": "A session was ended",
  "api-token-made": "An API token was made",
  "api-token-revoked": "An API token was ended",
  "person-added": "A person was added",
  "person-changed": "A person was changed",
  "person-removed": "A person was removed",
  "role-given": "Somebody was given a role",
  "role-removed": "A role was taken from somebody",
  "catalog-changed": "The catalog changed",
  "servicing-changed": "How a group is serviced was changed",
  "advisories-imported": "Advisories were imported",
  "eligibility-changed": "A rule of eligibility was changed",
  "policy-made": "A policy was made",
  "policy-changed": "A policy was changed",
  "policy-paused": "A policy was paused",
  "policy-resumed": "A policy goes on after its pause",
  "policy-expedited": "A policy expedites a hotpatch",
  "policy-removed": "A policy was removed",
  "window-announced": "A maintenance window was announced",
  "rollout-made": "A rollout was made",
  "rollout-started": "A rollout was started",
  "rollout-granted": "A rollout came to more devices",
  "rollout-verifying": "A ring of a rollout is through and is verified",
  "rollout-fell-back": "A ring of a rollout fell below its threshold again",
  "rollout-ring-opened": "A rollout opened its next ring",
  "rollout-alert": "A rollout reached a threshold",
  "rollout-paused": "A rollout was paused",
  "rollout-resumed": "A rollout goes on after its pause",
  "rollout-finished": "A rollout is finished",
  "rollout-halted": "A rollout was halted and is taken back",
  "rollout-aborted": "A rollout was aborted",
  "rollout-removed": "A rollout was removed",
  "device-health": "A device noticed that a hotpatch does it harm",
  "webhook-made": "A webhook was made",
  "webhook-changed": "A webhook was changed",
  "webhook-disabled": "A webhook was disabled, since its address does not take messages",
  "webhook-removed": "A webhook was removed",
  "four-eyes-required": "A second person has to confirm changes of a group or a policy from now on",
  "four-eyes-released": "A second person need not confirm changes of a group or a policy any more",
  "request-made": "A change waits for a second person",
  "request-confirmed": "A second person confirmed a change",
  "request-rejected": "A change that was asked for was rejected",
  "request-expired": "Nobody decided in time about a change that was asked for",
};

export function eventSentence({ kind, subject, data, by }: Event, names: Names): Sentence {
  const given = Object.fromEntries(Object.entries(data).map(([name, value]) => [name, String(value)]));
  const id = subject.slice(subject.indexOf(":") + 1);
  const said = (text: string, step = false): Sentence => ({ text, tone: "plain", step });
  const hotpatch = () => names.hotpatch(given.hotpatchId ?? "");
  const device = () => names.device(given.deviceId ?? id);
  switch (kind) {
    case "action-changed":
      return actionSentence(given, names);
    case "action-offered":
      return said(`${hotpatch()} was offered to ${device()}`);
    case "approval-made":
      return said(`${hotpatch()} was ${decided(given.action)} for ${given.groupId} by ${people(by)}`);
    case "approval-removed":
      return given.hotpatchId === undefined
        ? said(`An approval for ${given.groupId} was taken back`)
        : said(`The approval of ${hotpatch()} for ${given.groupId} was taken back`);
    case "hotpatch-arrived":
      return said(`${names.hotpatch(id)} is new in the catalog`);
    case "hotpatch-declined":
      return said(`${names.hotpatch(id)} was declined`);
    case "hotpatch-undeclined":
      return said(`${names.hotpatch(id)} is declined no longer`);
    case "approval-rule-made":
    case "approval-rule-changed":
    case "approval-rule-removed":
      return said(`A rule that approves by itself was ${kind.slice("approval-rule-".length)}`);
    case "setting-changed":
      return said("A setting was changed");
    case "device-enrolled":
      return said(`${given.name} was enrolled`);
    case "device-renewed":
      return said(`${device()} renewed its certificate`, true);
    case "device-revoked":
      if (by?.kind === "device") return said(`${given.name} left, and is no device any more`);
      return { text: `${given.name} was cut off`, tone: "person", step: false };
    case "facts-changed":
      return said(`${device()} told of changes on it`, true);
    case "device-joined":
      return said(`${device()} joined ${id}`, true);
    case "device-left":
      return said(`${device()} left ${id}`);
    case "device-tagged":
      return said(`The tags of ${device()} were changed`, true);
    case "group-changed":
      return said(`The group ${id} was changed`);
    case "group-members-changed":
      return said(`${given.joined ?? 0} devices joined the group ${id}, and ${given.left ?? 0} left it`);
    case "group-made":
      return said(`The group ${id} was made`);
    case "group-removed":
      return said(`The group ${id} was removed`);
    case "server-started":
      return said("The server started");
    case "events-dropped":
      return said(`${given.count} old events, up to number ${given.through}, were dropped`, true);
    case "token-made":
      return said("A token for enrolling a machine was made", true);
    case "sign-in-link-made":
      return said("A sign-in link was made", true);
    case "signed-in":
      return said(`${given.name ?? "Somebody"} signed in`);
    case "signed-out":
      return said(`${given.name ?? "Somebody"} signed out`);
    default:
      // A newer server may tell of more than this page knows.
      return said(plain[kind] ?? `${kind} (${subject})`);
  }
}

/**
 * Agents that poll and report at any server, and administrators who decide at any server; each notes what was acknowledged.
 *
 * A request whose answer did not come may have been done or not; an agent sends its report again until it is acknowledged.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { ActionState, Assignment } from "../../../src/api/schemas/actions.ts";
import { RefusalError } from "../../../src/base/refusal.ts";
import { ask } from "../../../src/cli/server-client.ts";
import { type Answer, type Ask, certificateRequest, exchange } from "../support/running-server.ts";
import { pick, type StormServer } from "./servers.ts";

/** What an agent reports next of an action in that state. */
const steps: Readonly<Partial<Record<ActionState, string>>> = {
  offered: "fetch-started",
  fetching: "fetch-done",
  fetched: "plan-done",
  planned: "apply-started",
  applying: "apply-done",
  applied: "verify-started",
  verifying: "verify-done",
  reverting: "revert-done",
};

export interface Noted {
  /** Acknowledged reports, each by the instant that it alone has. */
  readonly reports: { readonly deviceId: string; readonly event: string; readonly at: string }[];
  readonly groups: string[];
  readonly approvals: string[];
  /** What an administrator asked of an action: that it was done, or that nobody answered. */
  readonly requests: {
    readonly actionId: string;
    readonly event: "offer" | "revert";
    readonly acknowledged: boolean;
  }[];
}

export interface StormAgent {
  readonly deviceId: string;
  run(signal: AbortSignal): Promise<void>;
}

type Send = (address: string, given: Ask) => Promise<Answer | undefined>;

/** Undefined where no answer came, or the database was away. */
async function sent(server: StormServer, ca: string, address: string, given: Ask): Promise<Answer | undefined> {
  try {
    const answer = await exchange(new URL(address, server.address), { ...given, ca });
    return answer.status === 503 ? undefined : answer;
  } catch {
    // The server was killed.
    return undefined;
  }
}

export async function enrolAgent(servers: readonly StormServer[], name: string, noted: Noted): Promise<StormAgent> {
  const [first] = servers;
  assert.ok(first);
  const { token } = await ask(first.state, "makeToken", { body: {} });
  const { certificate: ca } = await ask(first.state, "authority");
  const { key, request } = await certificateRequest();
  const body = { token, name, certificateRequest: request };
  const enrolled = await exchange(new URL("/v1/enrol", first.address), { ca, method: "POST", body });
  assert.equal(enrolled.status, 201, enrolled.text);
  const tls = { key, cert: enrolled.body.certificate };
  const deviceId: string = enrolled.body.deviceId;
  const send: Send = (address, given) => sent(pick(servers), ca, address, { ...given, tls });
  return { deviceId, run: (signal) => runAgent(deviceId, send, noted, signal) };
}

/** Until the signal, and then until there is nothing left to do. */
async function runAgent(deviceId: string, send: Send, noted: Noted, signal: AbortSignal): Promise<void> {
  let revision: number | undefined;
  let count = 0;
  for (;;) {
    const query = revision === undefined || signal.aborted ? "waitMs=0" : `waitMs=3000&after=${revision}`;
    const answer = await send(`/v1/agent/actions?${query}`, {});
    if (answer === undefined) {
      await delay(20);
      continue;
    }
    assert.equal(answer.status, 200, answer.text);
    const assignment = answer.body as Assignment;
    if (assignment.actions.length === 0 && signal.aborted) return;
    for (const { id, state } of assignment.actions) {
      const event = steps[state];
      assert.ok(event, state);
      count += 1;
      const at = new Date(count).toISOString();
      const told = { key: `storm-${count}-${"0".repeat(16)}`, actionId: id, event, at };
      await untilAcknowledged(send, told);
      noted.reports.push({ deviceId, event, at });
    }
    // With work under way the revision stays, so waiting for it would wait in vain.
    revision = assignment.actions.length > 0 ? undefined : assignment.revision;
  }
}

async function untilAcknowledged(send: Send, body: Record<string, unknown>): Promise<void> {
  for (;;) {
    const answer = await send("/v1/agent/reports", { method: "POST", body });
    if (answer === undefined) {
      await delay(20);
      continue;
    }
    assert.equal(answer.status, 200, answer.text);
    return;
  }
}

/** One decision after the other at servers that happen to be up, until the signal. */
export async function decide(
  servers: readonly StormServer[],
  { name, devices, hotpatches }: { name: string; devices: readonly string[]; hotpatches: readonly string[] },
  noted: Noted,
  signal: AbortSignal,
): Promise<void> {
  for (let count = 0; !signal.aborted; count++) {
    const up = servers.filter(({ isUp }) => isUp);
    if (up.length === 0) continue;
    const { state } = pick(up);
    const groupId = `${name}-${count}`;
    try {
      await ask(state, "makeGroup", { body: { id: groupId } });
      noted.groups.push(groupId);
      await ask(state, "addMember", { params: { groupId, deviceId: pick(devices) } });
      const approval = await ask(state, "approve", { body: { hotpatchId: pick(hotpatches), groupId } });
      noted.approvals.push(approval.id);
    } catch (error) {
      // A refusal would be wrong here: each group is new. Anything else is a server that was killed.
      if (error instanceof RefusalError && !isAway(error)) throw error;
    }
    await askOfAction(state, { deviceId: pick(devices), hotpatches }, noted);
    await delay(30);
  }
}

function isAway(error: RefusalError): boolean {
  return error.refusals.some(({ code }) => code === "server/busy");
}

/** Takes back what is in place on a device, or offers anew what was taken back. */
async function askOfAction(
  state: string,
  { deviceId, hotpatches }: { readonly deviceId: string; readonly hotpatches: readonly string[] },
  noted: Noted,
): Promise<void> {
  let request: { actionId: string; event: "offer" | "revert" } | undefined;
  try {
    const { items } = await ask(state, "listActions", { query: { deviceId, limit: 50 } });
    const own = items.filter(({ hotpatchId }) => hotpatches.includes(hotpatchId));
    const settled = own.filter((action) => action.state === "verified" || action.state === "reverted");
    if (settled.length === 0) return;
    const action = pick(settled);
    request = { actionId: action.id, event: action.state === "verified" ? "revert" : "offer" };
    await ask(state, "requestAction", { params: { actionId: action.id }, body: { event: request.event } });
    noted.requests.push({ ...request, acknowledged: true });
  } catch (error) {
    // Another administrator was quicker with the same action; nothing was done.
    if (error instanceof RefusalError) return;
    if (request !== undefined) noted.requests.push({ ...request, acknowledged: false });
  }
}

/** What the record must show when the storm is over: no decision lost, none doubled, no gap. */
import assert from "node:assert/strict";
import { ChainCheck } from "../../../src/api/event-chain.ts";
import type { Action } from "../../../src/api/schemas/actions.ts";
import type { Event } from "../../../src/api/schemas/events.ts";
import { ask, askAll, pageQuery } from "../../../src/cli/server-client.ts";
import { type ActionEvent, next, settledStates } from "../../../src/server/actions/state-machine.ts";
import type { Noted } from "./load.ts";
import { checkRollout, rolledOut } from "./rollout.ts";

export async function allEvents(state: string): Promise<Event[]> {
  const events: Event[] = [];
  for (;;) {
    const { items } = await ask(state, "listEvents", { query: { after: events.length, limit: 200 } });
    events.push(...items);
    if (items.length === 0) return events;
  }
}

export async function checkRecord(
  state: string,
  { noted, devices }: { readonly noted: Noted; readonly devices: readonly string[] },
): Promise<{ events: number; actions: number }> {
  const events = await allEvents(state);
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    events.map((_, index) => index + 1),
    "no gap",
  );
  const chain = new ChainCheck();
  for (const event of events) chain.take(event);
  assert.equal(chain.end(), undefined, "the chain of events holds, whichever server wrote each");
  const times = new Map<string, number>();
  for (const { kind, subject } of events) {
    times.set(`${kind} ${subject}`, (times.get(`${kind} ${subject}`) ?? 0) + 1);
  }
  for (const id of noted.groups) assert.equal(times.get(`group-made group:${id}`), 1, id);
  for (const id of noted.approvals) assert.equal(times.get(`approval-made approval:${id}`), 1, id);
  checkReports(events, noted);
  const actions = await askAll((cursor) => ask(state, "listActions", pageQuery(cursor)));
  checkActions(events, actions);
  checkRequests(events, noted);
  checkRollout(events, actions, devices);
  await checkOffers(state, events, actions);
  return { events: events.length, actions: actions.length };
}

/** Each report was acknowledged once by its agent, and has one event. */
function checkReports(events: readonly Event[], { reports }: Noted): void {
  const told = events.filter(({ kind, data }) => kind === "action-changed" && data.deviceTime !== undefined);
  const nameOf = ({ deviceId, event, at }: { deviceId: unknown; event: unknown; at: unknown }) =>
    `${deviceId} ${at} ${event}`;
  const known = told.map(({ data }) => nameOf({ deviceId: data.deviceId, event: data.event, at: data.deviceTime }));
  assert.deepEqual(known.toSorted(), reports.map(nameOf).toSorted(), "each report counts once");
}

/** The events of an action are a walk through the table without a jump, and it stands where they end. */
function checkActions(events: readonly Event[], actions: readonly Action[]): void {
  const states = new Map<string, string>();
  for (const { kind, subject, data } of events) {
    if (kind === "action-offered") {
      assert.ok(!states.has(subject), `${subject} was offered once`);
      states.set(subject, "offered");
    }
    if (kind !== "action-changed") continue;
    assert.equal(states.get(subject), data.from, subject);
    const moved = next(data.from as Action["state"], data.event as ActionEvent);
    assert.ok(moved.kind === "moved" && moved.state === data.to, subject);
    states.set(subject, moved.state);
  }
  assert.equal(states.size, actions.length);
  for (const { id, state } of actions) {
    assert.equal(state, states.get(`action:${id}`), id);
    assert.ok(settledStates.has(state), `${id} is done: ${state}`);
  }
}

/** What an administrator was told is done was done, and nothing that nobody asked for. */
function checkRequests(events: readonly Event[], { requests }: Noted): void {
  const count = (names: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    return counts;
  };
  const nameOf = ({ actionId, event }: { actionId: string; event: string }) => `action:${actionId} ${event}`;
  const done = count(
    events
      .filter(({ kind, data }) => kind === "action-changed" && (data.event === "revert" || data.event === "offer"))
      .map(({ subject, data }) => `${subject} ${data.event}`),
  );
  const acknowledged = count(requests.filter((request) => request.acknowledged).map(nameOf));
  const asked = count(requests.map(nameOf));
  for (const name of new Set([...done.keys(), ...asked.keys()])) {
    const times = done.get(name) ?? 0;
    assert.ok(times >= (acknowledged.get(name) ?? 0) && times <= (asked.get(name) ?? 0), `${name}: ${times} times`);
  }
}

/** Every device of a group has every hotpatch that is approved for it, and each of them once. */
async function checkOffers(state: string, events: readonly Event[], actions: readonly Action[]): Promise<void> {
  const all = await askAll((cursor) => ask(state, "listApprovals", pageQuery(cursor)));
  const approvals = all.filter(({ hotpatchId }) => hotpatchId !== rolledOut);
  const members = new Map<string, Set<unknown>>();
  for (const { kind, subject, data } of events) {
    if (kind !== "device-joined") continue;
    const group = subject.replace(/^group:/, "");
    members.set(group, (members.get(group) ?? new Set()).add(data.deviceId));
  }
  const approved = actions.filter(({ hotpatchId }) => hotpatchId !== rolledOut);
  const offered = approved.map(({ deviceId, hotpatchId }) => `${deviceId} ${hotpatchId}`);
  const wanted = new Set(
    approvals.flatMap(({ groupId, hotpatchId }) =>
      [...(members.get(groupId) ?? [])].map((deviceId) => `${deviceId} ${hotpatchId}`),
    ),
  );
  assert.deepEqual(offered.toSorted(), [...wanted].sort());
}

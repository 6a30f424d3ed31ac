/** What the page makes of the server's lists and events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Action, type ActionState, actionStates } from "../../src/api/schemas/actions.ts";
import type { Approval } from "../../src/api/schemas/approvals.ts";
import type { Device } from "../../src/api/schemas/devices.ts";
import { type Event, eventKinds } from "../../src/api/schemas/events.ts";
import { possibleRequests, stateWords } from "../../src/console/action-words.ts";
import { eventSentence } from "../../src/console/event-sentence.ts";
import { factLines } from "../../src/console/fact-lines.ts";
import { byUrgency, effectOfRemoval, fleetPicture } from "../../src/console/fleet-picture.ts";
import { changeLines } from "../../src/console/hotpatch-changes.ts";
import { outcomeLines } from "../../src/console/process-outcomes.ts";
import { actionTable } from "../../src/server/actions/state-machine.ts";

const at = "2026-01-02T03:04:05.678Z";

function device(id: string, extra: Partial<Device> = {}): Device {
  return {
    id,
    name: id,
    state: "enrolled",
    enrolledAt: at,
    lastSeenAt: null,
    factsRevision: 0,
    groups: ["all"],
    tags: [],
    ...extra,
  };
}

function action(deviceId: string, state: ActionState, extra: Partial<Action> = {}): Action {
  const wanted = ["reverting", "reverted", "withdrawn"].includes(state) ? "reverted" : "applied";
  const fixed = { hotpatchId: "one", reason: "", createdAt: at, changedAt: at, times: {} };
  return { id: `${deviceId}-${state}`, deviceId, wanted, state, ...fixed, ...extra } as Action;
}

test("a device counts as protected when all that is meant for it is verified", () => {
  const devices = [device("a"), device("b"), device("c"), device("gone", { state: "revoked" }), device("idle")];
  const actions = [
    action("a", "verified"),
    action("a", "reverted", { hotpatchId: "two" }),
    action("b", "verified"),
    action("b", "applying", { hotpatchId: "two" }),
    action("c", "failed"),
    action("gone", "refused"),
  ];
  const picture = fleetPicture(devices, actions);
  assert.deepEqual([picture.protectedDevices, picture.coveredDevices], [1, 3]);
  assert.deepEqual([picture.waiting.length, picture.needsPerson.length], [1, 1], "who was cut off needs nobody");
  assert.deepEqual(
    byUrgency(actions).map(({ state }) => stateWords[state].standing),
    ["person", "person", "waiting", "protected", "protected", "off"],
  );
});

test("facts and processes are told in lines", () => {
  const facts = {
    ...{ "os.name": "Debian GNU/Linux 12", "kernel.release": "6.1.0", "cpu.architecture": "x86_64", processes: 2 },
    ...{ "process.7.command": "node server.js", "process.7.packages": ["json5@2.2.1"], "process.8.command": "node" },
  };
  assert.deepEqual(factLines(facts), [
    "Debian GNU/Linux 12 · 6.1.0 · x86_64",
    "2 Node.js processes",
    "PID 7 node server.js: has json5@2.2.1; no hotpatch in memory",
  ]);
  assert.deepEqual(factLines({ "process.7.hotpatches": ["one"] }), ["1 Node.js process", "PID 7: in memory one"]);
  assert.deepEqual(factLines({}), []);
  const native = {
    ...{
      processes: 0,
      "process.9.command": "python3",
      "process.9.buildIds": ["abcd"],
      "process.9.hotpatches": ["two"],
    },
    "binary.abcd": ["/usr/lib/libexpat.so.1.8.10", "libexpat1", "2.5.0-1"],
  };
  assert.deepEqual(factLines(native), [
    "0 Node.js processes",
    "PID 9 python3: has libexpat.so.1.8.10 of libexpat1 2.5.0-1 (build-id abcd); in memory two",
  ]);
  const refused = { pid: 8, state: "refused", command: "node x", code: "target/debugger-attached" };
  assert.deepEqual(outcomeLines({ processes: [{ pid: 7, state: "verified" }, refused] }), [
    "2 processes: 1 verified, 1 refused",
    "PID 8 node x refused (target/debugger-attached)",
  ]);
  assert.deepEqual(outcomeLines({}), []);
  const evidence = { buildIds: ["abcd"], functions: 2, comparedBytes: 4096, rehearsed: false };
  const proven = { pid: 9, state: "verified", command: "python3", pauseMs: 0.126, native: evidence };
  assert.deepEqual(outcomeLines({ processes: [proven] }), [
    "1 process: 1 verified",
    "PID 9 python3: 2 functions exchanged, stood still for 0.13 ms, 4096 bytes compared with build-id abcd, without a rehearsal",
  ]);
});

test("a native hotpatch is told function by function, with the build that it is for", () => {
  const functions = [{ name: "parse", sizeBytes: 300 }];
  const binary = { name: "libexpat.so.1", buildId: "abcd", functions, functionCount: 1 };
  assert.deepEqual(changeLines({ binaries: [binary, { ...binary, name: "xmlwf", functionCount: 3 }] }), [
    "Changes 1 function of libexpat.so.1 with the build-id abcd: parse (300 bytes)",
    "Changes 3 functions of xmlwf with the build-id abcd: parse (300 bytes) and 2 more",
  ]);
  assert.deepEqual(changeLines({}), []);
});

test("taking an approval back withdraws what has not begun and no other group approves", () => {
  const devices = [device("a", { groups: ["all", "web"] }), device("b", { groups: ["all", "web", "db"] }), device("c")];
  const actions = [action("a", "offered"), action("b", "planned"), action("c", "offered")];
  const approval: Approval = {
    ...{ id: "1", hotpatchId: "one", groupId: "web", action: "install", deadline: null },
    ...{ source: "person", sourceId: "", reason: "", createdAt: at, createdBy: "local" },
  };
  const approvals = [approval, { ...approval, id: "2", groupId: "db" }];
  assert.deepEqual(effectOfRemoval(approval, { devices, actions, approvals }), { withdrawn: 1, staying: 0 });
  const applied = { devices, actions: [action("a", "verified")], approvals };
  assert.deepEqual(effectOfRemoval(approval, applied), { withdrawn: 0, staying: 1 });
});

test("the page offers what the server's table allows, and nothing else", () => {
  for (const state of actionStates) {
    for (const event of possibleRequests({ state })) assert.ok(actionTable[state][event], `${event} when ${state}`);
    const missing = (["revert", "offer", "withdraw"] as const).filter(
      (event) => actionTable[state][event] !== undefined && !possibleRequests({ state }).includes(event),
    );
    assert.deepEqual(missing, [], state);
  }
});

test("every kind of event and every state is told in a sentence that names what it is about", () => {
  const names = { device: (id: string) => `<device ${id}>`, hotpatch: (id: string) => `<hotpatch ${id}>` };
  const told = (event: Partial<Event>) =>
    eventSentence(
      { sequence: 1, at, kind: "server-started", subject: "server", data: {}, link: null, ...event },
      names,
    );
  const data = {
    deviceId: "d",
    hotpatchId: "h",
    groupId: "g",
    name: "n",
    role: "auditor",
    ...{ count: 3, through: 3 },
  };
  for (const kind of eventKinds.filter((known) => known !== "action-changed")) {
    const { text } = told({ kind, subject: "group:g", data });
    assert.doesNotMatch(text, /undefined|group:|^[a-z-]+ \(/, kind);
  }
  for (const to of actionStates) {
    const { text, reason } = told({
      kind: "action-changed",
      subject: "action:a",
      data: { ...data, to, reason: "why" },
    });
    assert.match(text, /<hotpatch h>/, to);
    assert.match(text, /<device d>/, to);
    assert.equal(reason, "why");
  }
  assert.equal(told({ kind: "unheard-of" as Event["kind"] }).text, "unheard-of (server)");
});

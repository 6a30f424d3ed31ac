/** A fleet of five: each agent, and then the server, is killed in the middle of a rollout and of its taking back, and it ends right. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { Action } from "../../src/api/schemas/actions.ts";
import type { Event } from "../../src/api/schemas/events.ts";
import { ask } from "../../src/cli/server-client.ts";
import { confine, isConfined } from "../agent/support/confined.ts";
import { type Listening, openScene, type Running, type Scene, type Service, until } from "../agent/support/scene.ts";
import { Machine } from "./support/machine.ts";

const bystander = path.join(import.meta.dirname, "support", "bystander.cjs");

interface Plan {
  readonly name: string;
  /** How many of its two programs load the vulnerable json5. */
  readonly vulnerable: 1 | 2;
  /** The points at which its agent is killed, on the way in and on the way back. */
  readonly onTheWay: string;
  readonly onTheWayBack: string;
}

const fleet: readonly Plan[] = [
  { name: "one", vulnerable: 1, onTheWay: "after effect begin", onTheWayBack: "before effect revert" },
  { name: "two", vulnerable: 1, onTheWay: "after effect fetch", onTheWayBack: "after effect revert" },
  { name: "three", vulnerable: 1, onTheWay: "after effect plan", onTheWayBack: "after journal reverted" },
  { name: "four", vulnerable: 2, onTheWay: "after process apply", onTheWayBack: "after process revert" },
  { name: "five", vulnerable: 2, onTheWay: "after process verify", onTheWayBack: "after report revert-done" },
];

class Device {
  readonly plan: Plan;
  readonly machine: Machine;
  readonly folder: string;
  readonly id: string;
  readonly services: readonly Service[];
  readonly others: readonly Listening[];
  readonly #scene: Scene;
  readonly #lives = new Map<Listening, unknown>();
  agent: Running | undefined;

  constructor(scene: Scene, given: Pick<Device, "plan" | "machine" | "folder" | "id" | "services" | "others">) {
    this.#scene = scene;
    ({ plan: this.plan, machine: this.machine, folder: this.folder, id: this.id } = given);
    ({ services: this.services, others: this.others } = given);
  }

  start(...stop: readonly string[]): void {
    this.agent = this.#scene.startAgentWith({ place: this.machine }, this.folder, ...stop);
  }

  /** Waits until it has ended itself by force. */
  async dead(point: string): Promise<void> {
    await until(
      `the agent of ${this.plan.name} is killed ${point}`,
      () => this.agent?.hasEnded === true,
      () => String(this.agent?.said),
    );
    assert.equal(this.agent?.child.signalCode, "SIGKILL", `${this.plan.name}: ${this.agent?.said}`);
  }

  async holes(): Promise<string[]> {
    return await Promise.all(this.services.map(async (service) => await service.hole()));
  }

  /** The start of each of its programs, which no other process of the same id would tell. */
  async expectSameProcesses(): Promise<void> {
    for (const program of [...this.services, ...this.others]) {
      const response = await fetch(`http://127.0.0.1:${program.port}/status`);
      const { pid, startedAt } = (await response.json()) as { pid: number; startedAt: string };
      assert.equal(pid, program.pid);
      assert.equal(this.#lives.get(program) ?? startedAt, startedAt);
      this.#lives.set(program, startedAt);
    }
  }
}

async function openDevice(t: TestContext, scene: Scene, plan: Plan): Promise<Device> {
  const machine = await Machine.open(t, { name: plan.name });
  const start = { place: machine };
  const services = [await scene.startService(start)];
  if (plan.vulnerable === 2) services.push(await scene.startService(start));
  const others = plan.vulnerable === 2 ? [] : [await scene.startListening(bystander, start)];
  const folder = await scene.enrol(plan.name);
  const { items } = await ask(scene.state, "listDevices", { query: {} });
  const id = items.find(({ name }) => name === plan.name)?.id ?? "";
  const device = new Device(scene, { plan, machine, folder, id, services, others });
  assert.deepEqual(new Set(await device.holes()), new Set(["open"]));
  await device.expectSameProcesses();
  return device;
}

async function untilAll(scene: Scene, devices: readonly Device[], state: Action["state"]): Promise<readonly Action[]> {
  return await until(
    `${devices.length} actions are ${state}`,
    async () => {
      const ids = new Set(devices.map(({ id }) => id));
      const actions = (await scene.actions()).filter(({ deviceId }) => ids.has(deviceId));
      return actions.length === devices.length && actions.every((action) => action.state === state) && actions;
    },
    () => devices.map(({ plan, agent }) => `${plan.name}\n${agent?.said}`).join("\n"),
  );
}

async function allEvents(scene: Scene): Promise<Event[]> {
  const events: Event[] = [];
  for (;;) {
    const { items } = await ask(scene.state, "listEvents", { query: { after: events.length, limit: 200 } });
    if (items.length === 0) return events;
    events.push(...items);
  }
}

function followed(follower: Running): Event[] {
  const lines = follower.said.split("\n").filter((line) => line.startsWith('{"') && line.endsWith("}"));
  return lines.map((line) => JSON.parse(line) as Event).filter(({ sequence }) => sequence !== undefined);
}

/** The agents are killed in their steps, and the server while three of them have begun again; then all of them go on. */
async function rollOut(scene: Scene, devices: readonly Device[]): Promise<void> {
  for (const device of devices) device.start(device.plan.onTheWay);
  await scene.approve();
  await Promise.all(devices.map(async (device) => await device.dead(device.plan.onTheWay)));
  const [one, two, ...rest] = devices as [Device, Device, ...Device[]];
  assert.deepEqual((await rest[1]?.holes())?.toSorted(), ["closed", "open"], "killed between two processes");
  assert.deepEqual(await rest[2]?.holes(), ["closed", "closed"], "killed while it verified");
  for (const device of rest) device.start();
  const [first] = await until("one action is verified", async () => {
    const found = (await scene.actions()).filter(({ state }) => state === "verified");
    return found.length > 0 && found;
  });
  const acknowledged = await allEvents(scene);
  await scene.server?.end();
  for (const device of rest) {
    await until(
      `${device.plan.name} goes on while the server is away`,
      async () => (await device.holes()).every((hole) => hole === "closed"),
      () => String(device.agent?.said),
    );
  }
  for (const device of [one, two]) {
    device.start();
    await until(
      `${device.plan.name} finds the server away`,
      () => device.agent?.said.includes("the server is away") === true,
      () => String(device.agent?.said),
    );
  }
  assert.deepEqual([...(await one.holes()), ...(await two.holes())], ["open", "open"], "what was not fetched waits");
  await scene.startServer();
  const kept = await allEvents(scene);
  assert.deepEqual(kept.slice(0, acknowledged.length), acknowledged, "what was acknowledged is there");
  const again = (await scene.actions()).find(({ id }) => id === first?.id);
  assert.equal(again?.state, "verified");
}

async function takeBack(scene: Scene, devices: readonly Device[]): Promise<void> {
  await Promise.all(
    devices.map(async (device) => {
      await device.agent?.end("SIGTERM");
      assert.equal(device.agent?.child.exitCode, 0, String(device.agent?.said));
      device.start(device.plan.onTheWayBack);
    }),
  );
  for (const { id: actionId } of await scene.actions()) {
    await ask(scene.state, "requestAction", { params: { actionId }, body: { event: "revert" } });
  }
  await Promise.all(devices.map(async (device) => await device.dead(device.plan.onTheWayBack)));
  const [one, , , four] = devices;
  assert.deepEqual(await one?.holes(), ["closed"], "killed before it began");
  assert.deepEqual((await four?.holes())?.toSorted(), ["closed", "open"], "killed between two processes");
  for (const device of devices) device.start();
}

const inOrder = [
  ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"],
  ...["revert", "revert-done"],
];

confine("a fleet of five", import.meta.filename);

if (isConfined) {
  test("five agents and their server die in the middle of each step, and all ends right", {
    timeout: 500_000,
  }, async (t) => {
    const scene = await openScene(t);
    const follower = scene.startCommand(["events", "--follow", "--json", "--state", scene.state]);
    const devices = await Promise.all(fleet.map(async (plan) => await openDevice(t, scene, plan)));
    const begun = performance.now();

    await rollOut(scene, devices);
    for (const { deviceId, processes } of await untilAll(scene, devices, "verified")) {
      const { services } = devices.find(({ id }) => id === deviceId) as Device;
      const expected = services.map(({ pid }) => [pid, "verified"]).toSorted();
      assert.deepEqual(processes.map(({ pid, state }) => [pid, state]).toSorted(), expected, "each, and no other");
    }
    for (const device of devices) {
      assert.deepEqual(new Set(await device.holes()), new Set(["closed"]));
      await device.expectSameProcesses();
    }
    const patched = performance.now();

    await takeBack(scene, devices);
    await untilAll(scene, devices, "reverted");
    for (const device of devices) {
      assert.deepEqual(new Set(await device.holes()), new Set(["open"]));
      await device.expectSameProcesses();
    }
    t.diagnostic(`on the way ${Math.round(patched - begun)} ms, back ${Math.round(performance.now() - patched)} ms`);

    const events = await allEvents(scene);
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, index) => index + 1),
      "no gap, over the death of the server",
    );
    await until("the follower has seen them", () => followed(follower).length >= events.length);
    assert.deepEqual(followed(follower), events, "each once, in order");
    for (const { id } of await scene.actions()) {
      const told = events.filter(({ kind, subject }) => kind === "action-changed" && subject === `action:${id}`);
      assert.deepEqual(
        told.map(({ data }) => data.event),
        inOrder,
        "every report counts, and counts once",
      );
    }
  });
}

/**
 * A server, its catalog and its fleet, over a time that is steered; every step is asserted by its chapter and told as a line of the timeline.
 *
 * What metadata and certificates need as time passes is done at each leap: a listing is renewed each five days, certificates each fifteen.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Answered, RouteName } from "../../src/api/routes.ts";
import type { Action } from "../../src/api/schemas/actions.ts";
import { ask, askAll, type Given, pageQuery } from "../../src/cli/server-client.ts";
import { openHotpatch } from "../../src/hotpatch/open-hotpatch.ts";
import { addTrustedKey, loadTrustStore } from "../../src/hotpatch/trust-store.ts";
import type { Baseline } from "../../src/repository/baseline.ts";
import type { Release } from "../../src/repository/release-facts.ts";
import { stageHotpatch } from "../../src/repository/writer/publish.ts";
import { type Made, made } from "../agent/support/confined.ts";
import { hotpatchId, Scene, until } from "../agent/support/scene.ts";
import { openShop, type Shop } from "../repository/support/shop.ts";
import { ServerProcess } from "../server/support/server-process.ts";
import { enrolSimulated, inTurn, renewCertificate, type SimulatedDevice } from "./support/simulated-fleet.ts";
import { steer } from "./support/steered-time.ts";

export const hourMs = 60 * 60 * 1000;
export const dayMs = 24 * hourMs;
/** A listing's timestamp is good for seven days, and a certificate for thirty. */
const leapMs = 5 * dayMs;
const renewMs = 15 * dayMs;

export interface RehearsalOptions {
  readonly devices: number;
  /** The file that says what time it is. */
  readonly timeFile: string;
  readonly say: (line: string) => void;
}

export class Rehearsal {
  readonly devices: SimulatedDevice[] = [];
  readonly shop: Shop;
  readonly size: number;
  /** Where real agents and programs are started. */
  readonly scene: Scene;
  readonly #built: Made;
  readonly #server: ServerProcess;
  readonly #options: RehearsalOptions;
  #aheadMs = 0;
  #renewedMs = Date.now();

  constructor(
    { scene, built, server }: { scene: Scene; built: Made; server: ServerProcess },
    options: RehearsalOptions,
  ) {
    this.scene = scene;
    this.shop = scene.shop;
    this.#built = built;
    this.#server = server;
    this.#options = options;
    this.size = options.devices;
  }

  /** Of its server. */
  get address(): string {
    return this.#server.address;
  }

  chapter(title: string): void {
    this.#options.say(`\n${title}`);
  }

  /** A line of the timeline: what was shown to hold, on that day. */
  tell(what: string): void {
    this.#options.say(`  ${new Date().toISOString().slice(0, 16).replace("T", " ")}  ${what}`);
  }

  async ask<Name extends RouteName>(name: Name, given: Given<Name> = {}): Promise<Answered<Name>> {
    return await ask(this.#server.state, name, given);
  }

  async enrol(name: string, groupId?: string): Promise<SimulatedDevice> {
    const { token } = await this.ask("makeToken", { body: groupId === undefined ? {} : { groupId } });
    const { certificate: authority } = await this.ask("authority");
    const number = this.devices.length;
    const device = await enrolSimulated({ server: this.#server.address, authority, name, token, number });
    this.devices.push(device);
    return device;
  }

  /** Publishes the hotpatch, and waits until the server lists it. What follows from its arrival may be written a little later, so a chapter waits for the first offers before days pass. */
  async publish(hotpatchId: string, sequence: number, release?: Release): Promise<void> {
    await this.shop.add(hotpatchId, sequence, release);
    await this.#publishAll(hotpatchId);
  }

  /** The hotpatch that real agents take, signed by an author whom the server trusts. */
  async publishReal(): Promise<void> {
    const trusted = path.join(this.scene.folder, "trusted");
    await addTrustedKey(trusted, this.#built.author);
    const bytes = readFileSync(this.#built.hotpatch);
    const opened = openHotpatch(bytes, await loadTrustStore(trusted), { allowUnsigned: false });
    await stageHotpatch(this.shop.repository, bytes, opened, { dryRun: false });
    await this.#publishAll(this.scene.hotpatchId);
  }

  async #publishAll(hotpatchId: string): Promise<void> {
    this.shop.now = new Date();
    await this.shop.publish();
    await until(`the server sees ${hotpatchId}`, async () => {
      const { items } = await this.ask("listHotpatches");
      return items.some(({ id }) => id === hotpatchId);
    });
  }

  async publishBaseline(baseline: Baseline): Promise<void> {
    this.shop.now = new Date();
    await this.shop.addBaseline(baseline);
    await this.shop.publish();
    await until(`the server sees ${baseline.id}`, async () => {
      const { items } = await this.ask("listBaselines");
      return items.some(({ id }) => id === baseline.id);
    });
  }

  /** Time passes, in leaps after each of which everything is kept valid. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= leapMs) {
      this.#aheadMs += Math.min(left, leapMs);
      steer(this.#options.timeFile, this.#aheadMs);
      if (ms < dayMs) continue;
      this.shop.now = new Date();
      await this.shop.renew("snapshot", "timestamp");
      if (Date.now() - this.#renewedMs >= renewMs) await this.#renew();
    }
  }

  /** A server that starts has a new certificate, and so has each device that asked for one. */
  async #renew(): Promise<void> {
    this.#renewedMs = Date.now();
    for (const { agent } of this.devices) agent.disconnect();
    await this.#server.end();
    await this.#server.start();
    await inTurn(this.devices, (device) => renewCertificate(device, this.#server.address));
  }

  /** Each device asks what it has to do, and does it; with `fails`, some fail at it. */
  async work(fails: (device: SimulatedDevice, hotpatchId: string) => boolean = () => false): Promise<void> {
    await inTurn(this.devices, async (device) => {
      await device.agent.work(await device.agent.poll(0), (hotpatchId) => fails(device, hotpatchId));
    });
  }

  async actions(hotpatchId: string): Promise<Action[]> {
    return await askAll((cursor) => this.ask("listActions", { query: { ...pageQuery(cursor).query, hotpatchId } }));
  }

  /** How many devices have an action for it, by the state of the action. */
  async states(hotpatchId: string): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { state } of await this.actions(hotpatchId)) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  /** Waits until the actions for it are exactly so. */
  async untilStates(hotpatchId: string, expected: Record<string, number>): Promise<void> {
    const wanted = JSON.stringify(Object.entries(expected).toSorted());
    let last = "";
    await until(
      `${hotpatchId} is ${wanted}`,
      async () => {
        last = JSON.stringify(Object.entries(await this.states(hotpatchId)).toSorted());
        return last === wanted;
      },
      () => `it is ${last}`,
    );
  }

  /** The codes of what keeps hotpatches off the device, and the state that it is in. */
  async explain({ id: deviceId }: SimulatedDevice, hotpatchId: string): Promise<{ state: string; blocks: string[] }> {
    const { items } = await this.ask("explainDevice", { params: { deviceId } });
    const item = items.find((one) => one.hotpatchId === hotpatchId) ?? assert.fail(`nothing is told of ${hotpatchId}`);
    const blocks = item.blocks.filter((block) => block.hotpatchId === hotpatchId).map(({ code }) => code);
    return { state: item.state, blocks };
  }

  /** Waits until the device is so. */
  async untilExplained(
    device: SimulatedDevice,
    hotpatchId: string,
    expected: { state: string; blocks: string[] },
  ): Promise<void> {
    const wanted = JSON.stringify(expected);
    let last = "";
    await until(
      `${hotpatchId} on ${device.name} is ${wanted}`,
      async () => {
        last = JSON.stringify(await this.explain(device, hotpatchId).catch(() => undefined));
        return last === wanted;
      },
      () => `it is ${last}`,
    );
  }
}

/** Ends with the test. Real agents look into every process that they may touch, so it is to be alone in its namespaces. */
export async function openRehearsal(test: TestContext, options: RehearsalOptions): Promise<Rehearsal> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-story-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  const shop = openShop(test);
  await shop.init();
  await shop.publish();
  const built = made();
  const server = new ServerProcess(path.join(folder, "state"), { shop, words: ["--trust", built.author] });
  test.after(() => server.end("SIGKILL"));
  await server.start();
  return new Rehearsal({ scene: new Scene(test, { folder, shop, hotpatchId }), built, server }, options);
}

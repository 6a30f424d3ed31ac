/** A server, a catalog with a real hotpatch, agents and vulnerable services, each a process of its own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { attack, holeState } from "../../../sample/attack.ts";
import type { SettingsAnswer } from "../../../sample/settings-service.ts";
import type { Action } from "../../../src/api/schemas.ts";
import { ask, askAll } from "../../../src/cli/server-client.ts";
import { openHotpatch } from "../../../src/hotpatch/open-hotpatch.ts";
import { addTrustedKey, loadTrustStore } from "../../../src/hotpatch/trust-store.ts";
import { stageHotpatch } from "../../../src/repository/writer/publish.ts";
import { checkout, type Ended, runProgram } from "../../cli/run-program.ts";
import { openShop, type Shop } from "../../repository/support/shop.ts";
import { made } from "./confined.ts";

const main = path.join(checkout, "src", "cli", "main.ts");
const agentProgram = path.join(import.meta.dirname, "stopping-agent.ts");
const service = path.join(checkout, "sample", "service", "main.cjs");
export const hotpatchId = "npm-json5-2.2.1-to-2.2.2";
const patienceMs = 60_000;

/** Waits until it holds. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | undefined | false> | Value | undefined | false,
  explain: () => string = () => "",
): Promise<Value> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) assert.fail(`in vain: ${what}\n${explain()}`);
    await delay(25);
  }
}

export class Running {
  readonly child: ChildProcess;
  said = "";
  readonly ended: Promise<void>;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.said += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.said += text;
    });
    this.ended = once(child, "exit").then(() => undefined);
  }

  get pid(): number {
    return this.child.pid as number;
  }

  async end(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill(signal);
    await this.ended;
  }
}

export class Service extends Running {
  port = 0;

  /** Whether the hole in this very process is open. */
  async hole(): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}/settings`, { method: "POST", body: attack });
    const text = await response.text();
    const body = JSON.parse(text) as SettingsAnswer["body"];
    if (body.servedBy !== undefined) assert.equal(body.servedBy, this.pid);
    return holeState({ status: response.status, text: text.trim(), body });
  }
}

export class Scene {
  readonly folder: string;
  readonly state: string;
  readonly shop: Shop;
  readonly #test: TestContext;
  server: Running | undefined;

  constructor(test: TestContext, folder: string, shop: Shop) {
    this.#test = test;
    this.folder = folder;
    this.state = path.join(folder, "server");
    this.shop = shop;
  }

  #start(
    words: readonly string[],
    { ipc = false, env = {}, uid }: { ipc?: boolean; env?: NodeJS.ProcessEnv; uid?: number | undefined } = {},
  ): ChildProcess {
    const child = spawn(process.execPath, words, {
      ...(uid === undefined ? {} : { uid, gid: uid }),
      stdio: ["ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined, ...env },
      cwd: this.folder,
    });
    this.#test.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    });
    return child;
  }

  async startServer(): Promise<Running> {
    const root = path.join(this.shop.repository.metadataFolder, "1.root.json");
    const catalog = ["--catalog", this.shop.repository.publicFolder, "--catalog-root", root, "--trust", made().author];
    const running = new Running(this.#start([main, "server", "run", "--state", this.state, ...catalog]));
    await until(
      "the server listens",
      () => running.said.includes("Listening on") || running.child.exitCode !== null,
      () => running.said,
    );
    assert.equal(running.child.exitCode, null, running.said);
    this.server = running;
    return running;
  }

  async say(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return await runProgram([main, ...words], { cwd: this.folder, env });
  }

  /** Enrols with the command, and answers the agent's folder. */
  async enrol(name: string): Promise<string> {
    const folder = path.join(this.folder, name);
    await this.enrolInto(folder, name);
    return folder;
  }

  async enrolInto(folder: string, name = "web-1"): Promise<void> {
    const { token } = await ask(this.state, "makeToken", { body: {} });
    const words = ["agent", "enrol", "--server", "https://127.0.0.1:8443", "--state", folder, "--name", name];
    const { code, error } = await this.say(words, { REBOOTLESS_TOKEN: token });
    assert.equal(code, 0, error);
  }

  startAgent(folder: string, ...stop: readonly string[]): Running {
    return new Running(this.#start([agentProgram, folder, ...stop]));
  }

  startAgentAs(uid: number, folder: string): Running {
    return new Running(this.#start([agentProgram, folder], { uid }));
  }

  async startService(env: NodeJS.ProcessEnv = {}, uid?: number): Promise<Service> {
    const child = this.#start([service], { ipc: true, env, uid });
    const [message] = (await once(child, "message")) as [{ listening: number }];
    const running = new Service(child);
    running.port = message.listening;
    return running;
  }

  async action(): Promise<Action | undefined> {
    const [action] = await this.actions();
    return action;
  }

  async actions(): Promise<Action[]> {
    return await askAll((cursor) => ask(this.state, "listActions", { query: cursor === undefined ? {} : { cursor } }));
  }

  async approve(): Promise<void> {
    await ask(this.state, "approve", { body: { hotpatchId, groupId: "all" } });
  }

  async request(event: "offer" | "revert" | "withdraw"): Promise<void> {
    const action = await this.action();
    await ask(this.state, "requestAction", { params: { actionId: action?.id ?? "" }, body: { event } });
  }

  async untilState(state: Action["state"], agent?: Running): Promise<Action> {
    return await until(
      `the action is ${state}`,
      async () => {
        const action = await this.action();
        return action?.state === state && action;
      },
      () => `${agent?.said}`,
    );
  }
}

export async function openScene(test: TestContext): Promise<Scene> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-agent-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  const shop = openShop(test);
  await shop.init();
  const { hotpatch, author } = made();
  const trusted = path.join(folder, "trusted");
  await addTrustedKey(trusted, author);
  const bytes = readFileSync(hotpatch);
  const opened = openHotpatch(bytes, await loadTrustStore(trusted), { allowUnsigned: false });
  assert.equal(opened.hotpatch.manifest.id, hotpatchId);
  await stageHotpatch(shop.repository, bytes, opened, { dryRun: false });
  await shop.publish();
  const scene = new Scene(test, folder, shop);
  await scene.startServer();
  return scene;
}

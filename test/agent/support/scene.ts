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
import type { Action } from "../../../src/api/schemas/actions.ts";
import { ask, askAll } from "../../../src/cli/server-client.ts";
import { openHotpatch } from "../../../src/hotpatch/open-hotpatch.ts";
import { addTrustedKey, loadTrustStore } from "../../../src/hotpatch/trust-store.ts";
import { stageHotpatch } from "../../../src/repository/writer/publish.ts";
import { checkout, type Ended, runProgram } from "../../cli/run-program.ts";
import { openShop, type Shop } from "../../repository/support/shop.ts";
import { databaseEnvironment } from "../../server/support/postgres-cluster.ts";
import { made } from "./confined.ts";

const main = path.join(checkout, "src", "cli", "main.ts");
const agentProgram = path.join(import.meta.dirname, "stopping-agent.ts");
const service = path.join(checkout, "sample", "service", "main.cjs");
/** Of the hotpatch that is made unless a test makes another. */
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

/** Where a program runs, if not in the test's own namespaces. */
export interface Place {
  /** Words before those of the program, which make it a child of what they start. */
  readonly entry: readonly [string, ...string[]];
  /** The program itself: as the test sees it, and as it sees itself. */
  pidsOf(child: ChildProcess): { readonly outer: number; readonly own: number } | undefined;
}

export class Running {
  readonly child: ChildProcess;
  readonly #place: Place | undefined;
  said = "";
  readonly ended: Promise<void>;

  constructor(child: ChildProcess, place?: Place) {
    this.child = child;
    this.#place = place;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.said += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.said += text;
    });
    this.ended = once(child, "exit").then(() => undefined);
  }

  /** As the program itself sees it. */
  get pid(): number {
    return this.#place === undefined ? (this.child.pid as number) : (this.#place.pidsOf(this.child)?.own ?? 0);
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async end(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.hasEnded) return;
    const place = this.#place;
    if (place === undefined) this.child.kill(signal);
    else {
      const { outer } = await until("the program is there to be ended", () => place.pidsOf(this.child));
      process.kill(outer, signal);
    }
    await this.ended;
  }
}

/** A program that listens on loopback. */
export class Listening extends Running {
  port = 0;
}

async function listening<Program extends Listening>(program: Program): Promise<Program> {
  const [message] = (await once(program.child, "message")) as [{ listening: number }];
  program.port = message.listening;
  return program;
}

/** A program that can be attacked. */
export interface Vulnerable {
  readonly child: ChildProcess;
  /** Whether its hole is open in this very process. */
  hole(): Promise<string>;
}

export class Service extends Listening implements Vulnerable {
  /** Whether the hole in this very process is open. */
  async hole(): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}/settings`, { method: "POST", body: attack });
    const text = await response.text();
    const body = JSON.parse(text) as SettingsAnswer["body"];
    if (body.servedBy !== undefined) assert.equal(body.servedBy, this.pid);
    return holeState({ status: response.status, text: text.trim(), body });
  }
}

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly place?: Place;
}

/** Who starts programs that the end of the test ends. */
export interface Starter {
  startProgram(words: readonly string[], options?: StartOptions & { readonly ipc?: boolean }): ChildProcess;
}

export function starter(test: TestContext, cwd: string): Starter {
  return {
    startProgram(words, { ipc = false, env = {}, uid, place } = {}) {
      const [command = "", ...rest] = [...(place?.entry ?? []), ...words];
      const child = spawn(command, rest, {
        ...(uid === undefined ? {} : { uid, gid: uid }),
        stdio: ["ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
        env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined, ...env },
        cwd,
      });
      test.after(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, "exit");
        child.kill("SIGKILL");
        await ended;
      });
      return child;
    },
  };
}

export class Scene implements Starter {
  readonly folder: string;
  readonly state: string;
  readonly shop: Shop;
  readonly hotpatchId: string;
  readonly #starter: Starter;
  server: Running | undefined;

  constructor(test: TestContext, { folder, shop, hotpatchId }: Pick<Scene, "folder" | "shop" | "hotpatchId">) {
    this.#starter = starter(test, folder);
    this.hotpatchId = hotpatchId;
    this.folder = folder;
    this.state = path.join(folder, "server");
    this.shop = shop;
  }

  /** Starts a program of Node.js, which the end of the test ends. */
  #start(words: readonly string[], options: StartOptions & { readonly ipc?: boolean } = {}): ChildProcess {
    return this.startProgram([process.execPath, ...words], options);
  }

  /** Starts any program, which the end of the test ends. */
  startProgram(words: readonly string[], options: StartOptions & { readonly ipc?: boolean } = {}): ChildProcess {
    return this.#starter.startProgram(words, options);
  }

  async startServer(...more: readonly string[]): Promise<Running> {
    const root = path.join(this.shop.repository.metadataFolder, "1.root.json");
    const catalog = ["--catalog", this.shop.repository.publicFolder, "--catalog-root", root, "--trust", made().author];
    const env = await databaseEnvironment(this.state);
    const words = [main, "server", "run", "--state", this.state, ...catalog, ...more];
    const running = new Running(this.#start(words, { env }));
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

  /** The command `rebootless`, as a program that goes on. */
  startCommand(words: readonly string[], options: StartOptions = {}): Running {
    return new Running(this.#start([main, ...words], options), options.place);
  }

  startAgent(folder: string, ...stop: readonly string[]): Running {
    return this.startAgentWith({}, folder, ...stop);
  }

  startAgentWith(options: StartOptions, folder: string, ...stop: readonly string[]): Running {
    return new Running(this.#start([agentProgram, folder, ...stop], options), options.place);
  }

  async startService(options: StartOptions = {}): Promise<Service> {
    return await listening(new Service(this.#start([service], { ...options, ipc: true }), options.place));
  }

  /** A program of the test's own that says where it listens. */
  async startListening(file: string, options: StartOptions = {}): Promise<Listening> {
    return await listening(new Listening(this.#start([file], { ...options, ipc: true }), options.place));
  }

  async action(): Promise<Action | undefined> {
    const [action] = await this.actions();
    return action;
  }

  async actions(): Promise<Action[]> {
    return await askAll((cursor) => ask(this.state, "listActions", { query: cursor === undefined ? {} : { cursor } }));
  }

  async approve(): Promise<void> {
    await ask(this.state, "approve", { body: { hotpatchId: this.hotpatchId, groupId: "all" } });
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
  const { id } = opened.hotpatch.manifest;
  await stageHotpatch(shop.repository, bytes, opened, { dryRun: false });
  await shop.publish();
  const scene = new Scene(test, { folder, shop, hotpatchId: id });
  await scene.startServer();
  return scene;
}

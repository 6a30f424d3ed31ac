/** One scenario's target, hotpatch and commands: everything as a user has it, through the command's own `main`. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { commands } from "../../../src/cli/commands.ts";
import { main } from "../../../src/cli/main.ts";
import { readProcess } from "../../../src/process/process.ts";
import { checkout, runProgram } from "../../cli/run-program.ts";
import { stateOf } from "../../engine/linux/support/patching.ts";
import { run, Target } from "../../engine/linux/support/target.ts";
import { type Scenario, sources } from "./scenario.ts";

export interface Report {
  readonly value: number;
  readonly old: number;
  readonly new: number;
  readonly rounds: number;
  readonly faults: number;
  readonly mixtures: number;
  readonly first: string;
}

interface RefusedBy {
  readonly code: string;
  readonly message: string;
}

export interface Answer {
  readonly exitCode: number;
  // biome-ignore lint/suspicious/noExplicitAny: what the command prints as JSON, looked at field by field
  readonly data: any;
  readonly error: string;
  readonly refused: readonly RefusedBy[];
}

/** Linked with every target. */
const support = ["target.c", "target.h", "Makefile"];

const program = join(checkout, "src", "cli", "main.ts");

class Capture extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

export class Scene {
  readonly scenario: Scenario;
  readonly folder: string;
  /** Where the running binaries are: stripped. */
  readonly place: string;
  readonly file: string;
  /** Of the applies and reverts so far. */
  readonly pausesMs: number[] = [];
  tries = 0;
  readonly #targets: Target[] = [];
  #target: Target | undefined;
  #pid = 0;

  constructor(scenario: Scenario, folder: string) {
    this.scenario = scenario;
    this.folder = folder;
    this.place = join(folder, "target");
    this.file = join(folder, "fix.hotpatch");
  }

  get app(): string {
    return join(this.place, "app");
  }

  /** Of the process to patch: the one that runs `app`, which a wrapper may have started. */
  get pid(): number {
    return this.#pid;
  }

  get target(): Target {
    assert.ok(this.#target !== undefined, "the target has not been started");
    return this.#target;
  }

  /** Compiles the target as its users have it: from the source before the fix, and stripped. */
  buildTarget(): void {
    for (const version of [0, 1] as const)
      this.#writeSource(version === 0 ? "before" : "after", sources(this.scenario, version));
    cpSync(join(this.folder, "before"), this.place, { recursive: true });
    run("make", ["-s", "-C", this.place, ...this.#makeWords()]);
    for (const binary of this.binaries()) run("strip", [binary]);
  }

  #writeSource(name: string, files: Readonly<Record<string, string>>): void {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    for (const file of support) cpSync(join(import.meta.dirname, "support", file), join(folder, file));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  }

  /** Another source behind the fix, as a hotpatch of its own. */
  async buildOther(
    name: string,
    files: Readonly<Record<string, string>>,
    options: readonly string[] = [],
  ): Promise<string> {
    this.#writeSource(name, files);
    const file = join(this.folder, `${name}.hotpatch`);
    const answer = await this.buildHotpatch(name, file, options);
    assert.equal(answer.exitCode, 0, answer.error);
    return file;
  }

  #makeWords(): string[] {
    const { compiler, flags, link, libraryLink } = this.scenario;
    const plusPlus = compiler.replace(/^gcc/, "g++").replace(/^clang(?!\+)/, "clang++");
    const plain = compiler.replace(/^g\+\+/, "gcc").replace(/^clang\+\+/, "clang");
    const linker = this.scenario.extension === ".cc" ? plusPlus : plain;
    return [
      "all",
      `CC=${plain}`,
      `CXX=${plusPlus}`,
      `LINKER=${linker}`,
      `FLAGS=${flags}`,
      `LINK=${link}`,
      `LIBRARY_LINK=${libraryLink}`,
    ];
  }

  binaries(): string[] {
    return readdirSync(this.place)
      .filter((file) => file === "app" || file.endsWith(".so"))
      .map((file) => join(this.place, file));
  }

  /** `rebootless build elf`. */
  async buildHotpatch(to = "after", file = this.file, options: readonly string[] = []): Promise<Answer> {
    const words = ["--source", join(this.folder, "before"), "--to", join(this.folder, to), "-o", file, "--unsigned"];
    const named = this.binaries().flatMap((binary) => ["--binary", binary]);
    const hooks = join(this.folder, to, "hooks.c");
    if (existsSync(hooks)) named.push("--hooks", hooks);
    return await this.command(
      "build",
      "elf",
      ...words,
      ...named,
      ...this.scenario.buildOptions,
      ...options,
      "--",
      "make",
      ...this.#makeWords(),
    );
  }

  /** The hotpatch, which must come to be. */
  async build(): Promise<Answer> {
    const answer = await this.buildHotpatch();
    assert.equal(answer.exitCode, 0, `build: ${describe(answer)}`);
    return answer;
  }

  /** Starts the target as the scenario says and waits for `ready`. */
  async start(): Promise<void> {
    this.#target = await this.startAnother();
    this.#pid = await this.runningApp(this.#target.pid);
  }

  /** One more, ended with the scene. */
  async startAnother(command = this.scenario.run): Promise<Target> {
    const env = { ...process.env, APP: this.app, DIR: this.place };
    const child = spawn("sh", ["-c", command], { stdio: ["pipe", "pipe", "inherit"], env, cwd: this.place });
    const target = Target.of(child);
    this.#targets.push(target);
    const first = await target.line();
    assert.equal(first, "ready", "the target's first word");
    return target;
  }

  /** The process itself, or the one below it that runs `app`. */
  async runningApp(pid: number): Promise<number> {
    const below = (parent: number): number[] => {
      const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").split(" ").filter(Boolean);
      return [parent, ...children.map(Number).flatMap(below)];
    };
    const found = below(pid).find((one) => readProcess(one)?.comm === "app");
    assert.ok(found !== undefined, "no process runs the target");
    return found;
  }

  /** A command line of `rebootless`, to its end. */
  async command(...words: readonly string[]): Promise<Answer> {
    const [out, error] = [new Capture(), new Capture()];
    const end = words.includes("--") ? words.indexOf("--") : words.length;
    const argv = [...words.slice(0, end), "--json", ...words.slice(end)];
    if (this.scenario.commandsApart) return await this.#apart(argv);
    const exitCode = await main({ argv, env: process.env, cwd: this.folder, stdout: out, stderr: error, commands });
    const data = out.text === "" ? undefined : JSON.parse(out.text);
    return { exitCode, data, error: error.text, refused: data?.refused ?? [] };
  }

  /** In a process of its own, which is not the target's parent. */
  async #apart(argv: readonly string[]): Promise<Answer> {
    const { code, out, error } = await runProgram([program, ...argv], { cwd: this.folder });
    const data = out === "" ? undefined : JSON.parse(out);
    return { exitCode: code ?? -1, data, error, refused: data?.refused ?? [] };
  }

  async process(word: "apply" | "revert" | "verify", file = this.file, pid = this.pid): Promise<Answer> {
    const wait = word === "verify" ? [] : ["--wait", this.scenario.waitSeconds];
    const answer = await this.command(word, file, "--pid", String(pid), "--allow-unsigned", ...wait);
    for (const outcome of answer.data?.outcomes ?? []) {
      this.pausesMs.push(outcome.pauseMs);
      this.tries += outcome.tries ?? 0;
    }
    return answer;
  }

  async apply(file?: string, pid?: number): Promise<Answer> {
    const answer = await this.process("apply", file, pid);
    assert.equal(answer.exitCode, 0, `apply: ${describe(answer)}`);
    return answer;
  }

  async revert(file?: string, pid?: number): Promise<Answer> {
    const answer = await this.process("revert", file, pid);
    assert.equal(answer.exitCode, 0, `revert: ${describe(answer)}`);
    return answer;
  }

  async report(target = this.target): Promise<Report> {
    return JSON.parse(await target.ask("report")) as Report;
  }

  /** All old or all new, no fault, no mixture; and from here on nothing of the other version runs. */
  async runs(version: "old" | "new", when: string): Promise<Report> {
    const first = await this.report();
    assert.equal(first.faults, 0, `${when}: ${first.first}`);
    assert.equal(first.mixtures, 0, `${when}: old and new code were mixed`);
    assert.equal(first.value, version === "old" ? 0 : 1, `${when}: the value that the target sees`);
    // A busy machine may not have let any other thread run between two reports.
    const counts = this.scenario.text.includes("RAN()");
    let later = first;
    while (later.rounds < first.rounds + 3 || (counts && later[version] === first[version]))
      later = await this.report();
    const other = version === "old" ? "new" : "old";
    assert.equal(later[other], first[other], `${when}: the ${other} code still runs`);
    assert.equal(later.faults, 0, `${when}: ${later.first}`);
    assert.equal(later.mixtures, 0, `${when}: old and new code were mixed`);
    return later;
  }

  /** Looks again and again, for as long as the scenario may take. */
  async waitUntil(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  state(pid = this.pid): ReturnType<typeof stateOf> {
    return stateOf(pid);
  }

  /** The bytes of all text, and where it can be told the memory map. */
  isAsAtFirst(first: ReturnType<typeof stateOf>, pid = this.pid): void {
    const now = this.state(pid);
    assert.equal(now.text, first.text, "the bytes of the text are not those of before");
    if (!this.scenario.mapVaries) assert.deepEqual(now.map, first.map);
  }

  async end(): Promise<void> {
    for (const target of this.#targets) await target.end();
  }

  /** For a failure: what the target says of itself, the plan, and where its threads are. */
  async diagnosis(): Promise<string> {
    const parts: string[] = [];
    if (this.#target !== undefined && existsSync(`/proc/${this.pid}/stat`)) {
      if (existsSync(this.file)) {
        const plan = await this.command("apply", this.file, "--pid", String(this.pid), "--allow-unsigned", "--dry-run");
        parts.push(`plan: ${JSON.stringify(plan.data ?? plan.error).slice(0, 4000)}`);
      }
      const walk = spawnSync("gdb", ["-p", String(this.pid), "-batch", "-nx", "-ex", "thread apply all bt 12"], {
        encoding: "utf8",
        timeout: 20_000,
      });
      parts.push(`stacks:\n${walk.stdout ?? "(gdb is not installed)"}`.slice(0, 6000));
      const told = await Promise.race([
        this.target.ask("report"),
        new Promise<string>((resolve) => setTimeout(resolve, 2000, "(it does not answer)")),
      ]);
      parts.push(`the target: ${told}`);
    }
    return parts.join("\n");
  }
}

export function describe({ exitCode, data, error, refused }: Answer): string {
  const said = refused.map(({ code, message }) => `${code}: ${message}`).join(" ");
  return `exit code ${exitCode}: ${said || JSON.stringify(data?.error ?? data?.failed ?? error).slice(0, 2000)}`;
}

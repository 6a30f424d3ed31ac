/** One case: the target, the hotpatch, and what both show in live processes. */
import { cpSync, globSync, mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { buildDependencies } from "../../../src/build/elf/debian-build.ts";
import { mustRun } from "../../../src/build/elf/run-command.ts";
import type { Desk } from "../npm/command.ts";
import type { NativeCase } from "./cases.ts";
import { type CaseSource, prepareSource } from "./sources.ts";
import { startTarget, type Target } from "./target.ts";

export interface CaseResult {
  readonly id: string;
  /**
   * `closed`: open, closed in the same process, open after revert, closed again.
   * `built`: the hotpatch was built and no engine for native programs could apply it.
   */
  readonly state: "closed" | "built" | "refused-at-build" | "refused-at-apply" | "wrong" | "failed";
  readonly functions: readonly string[];
  readonly note: string;
  /** What the target said, in order: `step: answer`. */
  readonly seen: readonly string[];
  /** The longest pause of the target's threads over all applications. */
  readonly pauseMs?: number;
  readonly buildMs?: number;
}

export interface RunOptions {
  readonly corpus: string;
  readonly cache: string;
  readonly desk: Desk;
  say(message: string): void;
}

const buildTimeoutMs = 900_000;
const applyTimeoutMs = 60_000;

export async function runCase(one: NativeCase, options: RunOptions): Promise<CaseResult> {
  const folder = join(options.cache, "work", one.id);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    options.say(`${one.id}: source`);
    const source = await prepareSource(one, options.cache, folder);
    options.say(`${one.id}: building the target`);
    const artifacts = await buildWithDependencies(one, source, folder, options);
    return await patchTarget(one, { ...options, source, folder, artifacts });
  } catch (error) {
    return { id: one.id, state: "failed", functions: [], seen: [], note: (error as Error).message.slice(0, 600) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function buildEnvironment(one: NativeCase): NodeJS.ProcessEnv {
  return { ...process.env, CFLAGS: one.build.cflags };
}

/** Answers whether something was missing and is there now; what only root may install is told. */
async function installDependencies({ debian }: CaseSource, { say }: RunOptions): Promise<boolean> {
  try {
    const installed = await buildDependencies(debian, { env: process.env, install: true, progress: say });
    return installed.length > 0;
  } catch (error) {
    say((error as Error).message);
    return false;
  }
}

/** Where the build fails, it is tried again with the build dependencies that the package names. */
async function buildWithDependencies(
  one: NativeCase,
  source: CaseSource,
  folder: string,
  options: RunOptions,
): Promise<string> {
  try {
    return await buildTarget(one, source, folder, options);
  } catch (error) {
    if (!(await installDependencies(source, options))) throw error;
    for (const name of ["target", "artifacts"]) rmSync(join(folder, name), { recursive: true, force: true });
    return await buildTarget(one, source, folder, options);
  }
}

/** Built in a folder of its own, away from the source that the hotpatch is built from, and stripped as a distribution does. */
async function buildTarget(
  one: NativeCase,
  { vulnerable }: CaseSource,
  folder: string,
  { corpus }: RunOptions,
): Promise<string> {
  const tree = join(folder, "target");
  mkdirSync(join(folder, "artifacts"));
  // As the kernel names it in a process's memory map.
  const artifacts = realpathSync(join(folder, "artifacts"));
  await mustRun("copying", ["cp", "-a", vulnerable, tree], { cwd: folder, env: process.env });
  const options = { cwd: tree, env: buildEnvironment(one) };
  for (const command of [...one.build.prepare, one.build.make])
    await mustRun("building the target", ["sh", "-c", command], options);
  for (const pattern of one.artifacts)
    for (const path of globSync(pattern, { cwd: tree }))
      cpSync(join(tree, path), join(artifacts, basename(path)), { verbatimSymlinks: true });
  if (one.driver !== undefined) {
    const { source, cflags, link } = one.driver;
    const fill = (text: string): string => text.replaceAll("$S", tree).replaceAll("$O", artifacts);
    const command = `gcc -O1 ${fill(cflags)} -I${corpus}/drivers ${join(corpus, source)} -o ${artifacts}/driver -L${artifacts} ${fill(link)} -pthread`;
    await mustRun("compiling the driver", ["sh", "-c", command], { cwd: folder, env: process.env });
  }
  for (const path of binaries(artifacts))
    await mustRun("strip", ["strip", "--strip-all", path], { cwd: folder, env: process.env });
  return artifacts;
}

function binaries(artifacts: string): string[] {
  return globSync("*", { cwd: artifacts, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(la|lai|a|o)$/.test(entry.name))
    .map((entry) => join(artifacts, entry.name))
    .sort();
}

/** What a process of the case has in memory of what was built: its program, and the libraries that it loaded. */
async function loadedBinaries(one: NativeCase, artifacts: string): Promise<string[]> {
  const target = await startTarget(one, artifacts);
  try {
    await target.ask("benign");
    const maps = readFileSync(`/proc/${target.pid}/maps`, "utf8");
    return binaries(artifacts).filter((path) => maps.includes(`${path}\n`));
  } finally {
    await target.stop();
  }
}

interface Patching extends RunOptions {
  readonly source: CaseSource;
  readonly folder: string;
  readonly artifacts: string;
}

async function patchTarget(one: NativeCase, options: Patching): Promise<CaseResult> {
  const { desk, source, folder, artifacts } = options;
  const file = join(folder, "case.hotpatch");
  options.say(`${one.id}: building the hotpatch`);
  const prepare = one.build.prepare.map((command) => `(${command})`).join(" && ");
  const loaded = await loadedBinaries(one, artifacts);
  const words = [
    ...["build", "elf", "--source", source.vulnerable, "--patch", source.fix, "-o", file, "--key", desk.key],
    ...(prepare === "" ? [] : ["--prepare", `export CFLAGS="${one.build.cflags}"; ${prepare}`]),
    ...loaded.flatMap((path) => ["--binary", path]),
    ...one.cve.flatMap((id) => ["--advisory", id]),
    ...["--", "env", `CFLAGS=${one.build.cflags}`, "sh", "-c", one.build.make],
  ];
  const built = await desk.run(words, buildTimeoutMs);
  const base = { id: one.id, functions: [] as string[], seen: [], buildMs: Math.round(built.tookMs) };
  if (built.kind === "refused")
    return {
      ...base,
      state: "refused-at-build",
      note: built.refused
        .map(({ message }) => message)
        .join(" ")
        .slice(0, 600),
    };
  if (built.kind === "failed") return { ...base, state: "failed", note: built.message.slice(0, 600) };
  const report = built.data.binaries as { code: { name: string; isNew: boolean }[] }[];
  const functions = report.flatMap(({ code }) => code.map(({ name, isNew }) => (isNew ? `+${name}` : name)));
  return { ...base, functions, ...(await showInProcess(one, file, options)) };
}

type Shown = Pick<CaseResult, "state" | "note">;
type Watched = Shown & Pick<CaseResult, "seen" | "pauseMs">;

/** Keeps what is seen of one case's processes. */
class Witness {
  readonly #one: NativeCase;
  readonly #file: string;
  readonly #desk: Desk;
  readonly seen: string[] = [];
  pauseMs = 0;

  constructor(one: NativeCase, file: string, desk: Desk) {
    this.#one = one;
    this.#file = file;
    this.#desk = desk;
  }

  /** Undefined where the answer is as it has to be. */
  async expect(target: Target, pattern: string, what: { step: string; otherwise: string }): Promise<Shown | undefined> {
    const answer = await target.ask("probe");
    this.seen.push(`${what.step}: ${answer.slice(0, 100)}`);
    return new RegExp(pattern).test(answer)
      ? undefined
      : { state: "wrong", note: `${what.otherwise}: ${answer.slice(0, 200)}` };
  }

  open(target: Target, step: string, otherwise: string): Promise<Shown | undefined> {
    return this.expect(target, this.#one.expectVulnerable, { step, otherwise });
  }

  closed(target: Target, step: string, otherwise: string): Promise<Shown | undefined> {
    return this.expect(target, this.#one.expectFixed, { step, otherwise });
  }

  async command(word: "apply" | "revert", target: Target): Promise<Shown | undefined> {
    const answer = await this.#desk.run([word, this.#file, "--pid", String(target.pid)], applyTimeoutMs);
    if (answer.kind === "failed") return { state: "failed", note: `${word}: ${answer.message.slice(0, 400)}` };
    if (answer.kind === "done") {
      const results = (answer.data.outcomes ?? []) as { pauseMs?: number }[];
      this.pauseMs = Math.max(this.pauseMs, ...results.map(({ pauseMs }) => pauseMs ?? 0));
      return undefined;
    }
    const absent = answer.refused.every(({ code }) => code === "target/not-this-runtime" || code === "target/not-node");
    const note = answer.refused.map(({ code, message }) => `${code}: ${message}`).join(" ");
    return absent
      ? { state: "built", note: "no engine for native programs applies it yet" }
      : { state: "refused-at-apply", note: note.slice(0, 500) };
  }
}

/** What the fixed program says to the harmless request, where the corpus has seen that the fix changes that too. */
function changedAnswer({ seen }: NativeCase): string | undefined {
  return seen?.vulnerable[0] === seen?.fixed[0] ? undefined : seen?.fixed[0];
}

/** The probe may kill: where it does, the hole is shown in twins. */
async function showInProcess(one: NativeCase, file: string, { desk, artifacts, say }: Patching): Promise<Watched> {
  const deadly = /CRASH/.test(one.expectVulnerable);
  const witness = new Witness(one, file, desk);
  const answer = (shown: Shown): Watched => ({ ...shown, seen: witness.seen, pauseMs: witness.pauseMs });
  say(`${one.id}: in live processes`);
  const twin = await startTarget(one, artifacts);
  const control = await witness.open(twin, "before", "the hole does not show before").finally(() => twin.stop());
  if (control !== undefined) return answer({ ...control, state: "failed" });
  const target = await startTarget(one, artifacts);
  try {
    // The first answer may tell of what a program does once, such as memory that it keeps from then on.
    await target.ask("benign");
    const before = await target.ask("benign");
    const steps: (() => Promise<Shown | undefined>)[] = [
      () => witness.command("apply", target),
      () => witness.closed(target, "applied", "open after apply"),
      () => witness.command("revert", target),
      ...(deadly ? [] : [() => witness.open(target, "reverted", "closed after revert")]),
      () => witness.command("apply", target),
      () => witness.closed(target, "applied again", "open after the second apply"),
      async () => {
        const after = await target.ask("benign");
        const wanted = changedAnswer(one) ?? before;
        return after === wanted
          ? undefined
          : { state: "wrong" as const, note: `the harmless request is answered ${after} and not ${wanted}` };
      },
      ...(deadly
        ? [
            () => witness.command("revert", target),
            () => witness.open(target, "reverted", "closed after the last revert"),
          ]
        : []),
    ];
    for (const step of steps) {
      const problem = await step();
      if (problem !== undefined) return answer(problem);
    }
    return answer({ state: "closed", note: "" });
  } finally {
    await target.stop();
  }
}

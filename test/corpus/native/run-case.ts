/** One case: the target, the hotpatch, and what both show in live processes. */
import { cpSync, globSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
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
    const artifacts = await buildTarget(one, source, folder, options);
    return await patchTarget(one, { ...options, source, folder, artifacts });
  } catch (error) {
    return { id: one.id, state: "failed", functions: [], note: (error as Error).message.slice(0, 600) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function buildEnvironment(one: NativeCase): NodeJS.ProcessEnv {
  return { ...process.env, CFLAGS: one.build.cflags };
}

/** Built in a folder of its own, away from the source that the hotpatch is built from, and stripped as a distribution does. */
async function buildTarget(
  one: NativeCase,
  { vulnerable }: CaseSource,
  folder: string,
  { corpus }: RunOptions,
): Promise<string> {
  const tree = join(folder, "target");
  const artifacts = join(folder, "artifacts");
  mkdirSync(artifacts);
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
    .filter((entry) => entry.isFile() && entry.name !== "driver" && !/\.(la|lai|a|o)$/.test(entry.name))
    .map((entry) => join(artifacts, entry.name))
    .sort();
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
  const words = [
    ...["build", "elf", "--source", source.vulnerable, "--patch", source.fix, "-o", file, "--key", desk.key],
    ...(prepare === "" ? [] : ["--prepare", `export CFLAGS="${one.build.cflags}"; ${prepare}`]),
    ...binaries(artifacts).flatMap((path) => ["--binary", path]),
    ...one.cve.flatMap((id) => ["--advisory", id]),
    ...["--", "env", `CFLAGS=${one.build.cflags}`, "sh", "-c", one.build.make],
  ];
  const built = await desk.run(words, buildTimeoutMs);
  const base = { id: one.id, functions: [] as string[], buildMs: Math.round(built.tookMs) };
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

/** The probe may kill: where it does, the hole is shown in twins. */
async function showInProcess(one: NativeCase, file: string, { desk, artifacts, say }: Patching): Promise<Shown> {
  const deadly = /CRASH/.test(one.expectVulnerable);
  const open = new RegExp(one.expectVulnerable);
  const closed = new RegExp(one.expectFixed);
  const command = async (word: string, target: Target): Promise<Shown | undefined> => {
    const answer = await desk.run([word, file, "--pid", String(target.pid)], applyTimeoutMs);
    if (answer.kind === "done") return undefined;
    if (answer.kind === "failed") return { state: "failed", note: `${word}: ${answer.message.slice(0, 400)}` };
    const absent = answer.refused.every(({ code }) => code === "target/not-this-runtime" || code === "target/not-node");
    const note = answer.refused
      .map(({ code, message }) => `${code}: ${message}`)
      .join(" ")
      .slice(0, 500);
    return absent
      ? { state: "built", note: "no engine for native programs applies it yet" }
      : { state: "refused-at-apply", note };
  };
  const asks = async (target: Target, pattern: RegExp, what: string): Promise<Shown | undefined> => {
    const answer = await target.ask("probe");
    return pattern.test(answer) ? undefined : { state: "wrong", note: `${what}: ${answer.slice(0, 200)}` };
  };
  say(`${one.id}: in live processes`);
  const twin = await startTarget(one, artifacts);
  const control = await asks(twin, open, "the hole does not show before").finally(() => twin.stop());
  if (control !== undefined) return { ...control, state: "failed" };
  const target = await startTarget(one, artifacts);
  try {
    // The first answer may tell of what a program does once, such as memory that it keeps from then on.
    await target.ask("benign");
    const before = await target.ask("benign");
    const steps: (() => Promise<Shown | undefined>)[] = [
      () => command("apply", target),
      () => asks(target, closed, "open after apply"),
      () => command("revert", target),
      ...(deadly ? [] : [() => asks(target, open, "closed after revert")]),
      () => command("apply", target),
      () => asks(target, closed, "open after the second apply"),
      async () => {
        const after = await target.ask("benign");
        return after === before
          ? undefined
          : { state: "wrong" as const, note: `the harmless request is answered ${after}, before ${before}` };
      },
      ...(deadly ? [() => command("revert", target), () => asks(target, open, "closed after the last revert")] : []),
    ];
    for (const step of steps) {
      const problem = await step();
      if (problem !== undefined) return problem;
    }
    return { state: "closed", note: "" };
  } finally {
    await target.stop();
  }
}

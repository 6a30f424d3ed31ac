/** Hotpatches from small packages, and the engine that puts them into applications. */
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Refusal, RefusalError } from "../../../src/base/refusal.ts";
import { buildNpmHotpatch } from "../../../src/build/hotpatch-build.ts";
import type { ProcessReference, Verdict } from "../../../src/engine/engine.ts";
import {
  NodeEngine,
  type NodeEngineOptions,
  type NodeOutcome,
  type NodePlan,
  type NodeRevertOutcome,
} from "../../../src/engine/node/node-engine.ts";
import { encodeHotpatch } from "../../../src/hotpatch/container.ts";
import type { Hotpatch } from "../../../src/hotpatch/hotpatch.ts";
import { openHotpatch } from "../../../src/hotpatch/open-hotpatch.ts";
import { type Files, temporaryFolder, writePackage } from "./application.ts";

export interface Fix {
  readonly name?: string;
  readonly before: Files;
  readonly after: Files;
  /** The version number of the fixed one. */
  readonly fixed?: string;
  /** `type` of the package. */
  readonly type?: "module" | "commonjs";
}

export interface BuiltFix {
  readonly hotpatch: Hotpatch;
  readonly digest: string;
  /** As it is written to a `.hotpatch` file. */
  readonly bytes: Uint8Array;
  /** Puts the old or the fixed version into the `node_modules` of a folder. */
  install(folder: string, version?: "before" | "after"): void;
}

/** Builds it as `build npm FOLDER --to FOLDER` does, rehearsal and all. */
export async function buildFix(test: TestContext, fix: Fix): Promise<BuiltFix> {
  const { name = "sample", type, fixed = "1.0.1" } = fix;
  const folder = temporaryFolder(test);
  const about = (version: string) => ({ name, version, ...(type === undefined ? {} : { type }) });
  writePackage(join(folder, "before"), fix.before, about("1.0.0"));
  writePackage(join(folder, "after"), fix.after, about(fixed));
  const hotpatch = await buildNpmHotpatch(
    { vulnerable: join(folder, "before"), fixed: join(folder, "after") },
    { cwd: folder, advisories: [], sequence: 1, nodePath: process.execPath, progress: () => undefined },
  );
  const bytes = encodeHotpatch(hotpatch, []);
  const opened = openHotpatch(bytes, { directory: "", keys: new Map() }, { allowUnsigned: true });
  const install = (where: string, version: "before" | "after" = "before"): void =>
    writePackage(join(where, "node_modules", name), fix[version], about(version === "before" ? "1.0.0" : fixed));
  return { hotpatch: opened.hotpatch, digest: opened.digest, bytes, install };
}

export type EngineOptions = Partial<Omit<NodeEngineOptions, "progress">>;

/** The engine as the command uses it; without a rehearsal of its own unless told, since the build rehearsed. */
export class Patching {
  readonly #fix: BuiltFix;
  readonly #target: ProcessReference;

  constructor(fix: BuiltFix, target: { readonly reference: ProcessReference }) {
    this.#fix = fix;
    this.#target = target.reference;
  }

  #engine(options: EngineOptions): NodeEngine {
    const common = { maxPauseMs: 60_000, waitMs: 5000, rehearse: false, progress: () => undefined };
    return new NodeEngine({ ...common, ...options }, this.#fix.digest);
  }

  async plan(options: EngineOptions = {}): Promise<NodePlan> {
    const { hotpatch } = this.#fix;
    const engine = this.#engine(options);
    return engine.plan(await engine.probe(this.#target, hotpatch), hotpatch, {
      maxPauseMs: options.maxPauseMs ?? 60_000,
    });
  }

  async apply(options: EngineOptions = {}): Promise<NodeOutcome> {
    return await this.applyPlan(await this.plan(options), options);
  }

  async applyPlan(plan: NodePlan, options: EngineOptions = {}): Promise<NodeOutcome> {
    return await this.#engine(options).apply(plan, this.#fix.hotpatch);
  }

  async verify(): Promise<Verdict> {
    return await this.#engine({}).verify(this.#target, this.#fix.hotpatch);
  }

  async revert(options: EngineOptions = {}): Promise<NodeRevertOutcome> {
    return await this.#engine(options).revert(this.#target, this.#fix.hotpatch);
  }
}

/** The refusals that the work ends in; fails when it does not. */
export async function refusalsOf(work: Promise<unknown>): Promise<readonly Refusal[]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof RefusalError) return error.refusals;
    throw error;
  }
  throw new Error("the work was not refused");
}

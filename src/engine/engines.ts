/** Which engine a hotpatch is for: the one whose section its manifest has. */
import type { Manifest } from "../hotpatch/manifest.ts";
import { LinuxEngine } from "./linux/linux-engine.ts";
import { NodeEngine } from "./node/node-engine.ts";

export interface EngineOptions {
  readonly maxPauseMs: number;
  readonly waitMs: number;
  /** Whether a sacrificial process tries the hotpatch first, where the engine has that. */
  readonly rehearse: boolean;
  readonly progress: (text: string) => void;
}

/** `digest`: of the hotpatch, which tells one build of an id from another. */
export function engineFor(manifest: Manifest, options: EngineOptions, digest: string): NodeEngine | LinuxEngine {
  if (manifest.elf === undefined) return new NodeEngine(options, digest);
  return new LinuxEngine({ waitMs: options.waitMs, progress: options.progress, now: Date.now }, digest);
}

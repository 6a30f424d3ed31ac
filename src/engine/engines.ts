/** Which engine a hotpatch is for: the one whose section its manifest has. */
import type { Manifest } from "../hotpatch/manifest.ts";
import type { AnyEngine } from "./engine.ts";
import { LinuxEngine } from "./linux/linux-engine.ts";
import type { BinaryLooks } from "./linux/process-binaries.ts";
import { NodeEngine } from "./node/node-engine.ts";

export interface EngineOptions {
  readonly maxPauseMs: number;
  readonly waitMs: number;
  /** Whether a sacrificial process tries the hotpatch first, where the engine has that. */
  readonly rehearse: boolean;
  readonly progress: (text: string) => void;
  /** Switches native functions although threads may be inside of them. */
  readonly forceImmediate?: boolean;
  /** Looks at processes that are remembered from one engine to the next. */
  readonly binaryLooks?: BinaryLooks;
}

/** `digest`: of the hotpatch, which tells one build of an id from another. */
export function engineFor(manifest: Manifest, options: EngineOptions, digest: string): AnyEngine {
  if (manifest.elf === undefined) return new NodeEngine(options, digest);
  const { waitMs, progress, binaryLooks, forceImmediate = false } = options;
  const given = { waitMs, progress, now: Date.now, forceImmediate, ...(binaryLooks && { binaryLooks }) };
  return new LinuxEngine(given, digest);
}

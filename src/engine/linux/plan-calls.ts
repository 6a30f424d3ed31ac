/**
 * The part of a plan that is about running code in the target: resolvers of IFUNC symbols, unwind entries to be made known, hooks of the author. Pure.
 */
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { parseElf } from "../../elf/elf-file.ts";
import type { ElfChange } from "../../hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import type { LinkedObject } from "./link-object.ts";
import type { LinuxProbe } from "./linux-probe.ts";
import type { Area } from "./patch-memory.ts";
import type { RecordedCalls, RecordedFrames, RecordedHook } from "./record.ts";
import { type CallRoom, type FunctionCall, storageAt, trampoline } from "./remote-function.ts";

export interface PlannedCalls extends RecordedCalls {
  /** Of IFUNC symbols that nothing has used yet; the plan is linked again with their answers. */
  readonly resolvers: readonly FunctionCall[];
  readonly registrations: readonly FunctionCall[];
  readonly beforeApply: readonly RecordedHook[];
  readonly afterApply: readonly RecordedHook[];
}

export const noCalls: PlannedCalls = {
  trampoline: 0,
  list: 0,
  frames: [],
  beforeRevert: [],
  afterRevert: [],
  release: [],
  resolvers: [],
  registrations: [],
  beforeApply: [],
  afterApply: [],
};

/** Bytes of code and data that calls take: none for the ordinary hotpatch. */
export function needsCalls({ binaries, unwinders }: LinuxProbe, hotpatch: Hotpatch): boolean {
  const hooks = Object.keys(hotpatch.manifest.elf?.hooks ?? {}).length > 0;
  const resolvers = binaries.some(({ external }) => [...external.values()].some(({ kind }) => kind === "resolver"));
  if (hooks || resolvers) return true;
  if (unwinders.length === 0) return false;
  return binaries.some(({ binary }) => {
    const bytes = hotpatch.payloads.get(binary.object);
    return bytes !== undefined && parseElf(bytes).sections.some(({ name, size }) => name === ".eh_frame" && size > 0);
  });
}

export interface LinkedBinary {
  readonly name: string;
  readonly linked: LinkedObject;
}

export function planCalls(
  { binaries, unwinders }: LinuxProbe,
  { hooks }: ElfChange,
  linked: readonly LinkedBinary[],
  room: CallRoom,
): PlannedCalls {
  const resolvers = new Map<number, FunctionCall>();
  for (const { external } of binaries) {
    for (const [name, symbol] of external) {
      if (symbol.kind !== "resolver" || resolvers.has(symbol.resolver)) continue;
      resolvers.set(symbol.resolver, { name: `the resolver of ${name}`, address: symbol.resolver, arguments: [] });
    }
  }
  const frames: RecordedFrames[] = [];
  const registrations: FunctionCall[] = [];
  for (const { linked: object } of linked) {
    if (object.frames === undefined) continue;
    const begin = object.frames.address;
    for (const { kind, register, deregister, path } of unwinders) {
      const storage = storageAt(room, frames.length);
      frames.push({ begin, register, deregister, storage });
      const name = `the registration of unwind entries in ${path}`;
      registrations.push({ name, address: register, arguments: kind === "libgcc" ? [begin, storage] : [begin] });
    }
  }
  const find = (wanted: readonly { readonly binary: string; readonly symbol: string }[] = []): RecordedHook[] =>
    wanted.map(({ binary, symbol }) => {
      const found = linked.find(({ name }) => name === binary)?.linked.find(symbol);
      if (found === undefined)
        refuse("target/symbol-missing", `The object for ${binary} does not define the hook ${symbol}.`);
      return { name: symbol, address: found.address };
    });
  return {
    ...room,
    resolvers: [...resolvers.values()],
    frames,
    registrations,
    beforeApply: find(hooks.beforeApply),
    afterApply: find(hooks.afterApply),
    beforeRevert: find(hooks.beforeRevert),
    afterRevert: find(hooks.afterRevert),
    release: find(hooks.release),
  };
}

/** For hooks and unwinders in the record; names may take six bytes a letter in JSON. */
const recordBytesPerHook = 120;
const recordBytesPerUnwinder = 700;

/** The room that calls take in the record. */
export function callsRecordBytes({ binaries, unwinders }: LinuxProbe, { manifest }: Hotpatch): number {
  const hooks = Object.values(manifest.elf?.hooks ?? {}).flat();
  const names = hooks.reduce((sum, { symbol }) => sum + symbol.length * 6 + recordBytesPerHook, 0);
  return names + binaries.length * unwinders.length * recordBytesPerUnwinder;
}

/** Writes the trampoline into the contents of the area of code that it lies in. */
export function putTrampoline(areas: readonly (Area & { readonly contents: Buffer })[], address: number): void {
  const area = areas.find(
    ({ kind, address: start, sizeBytes }) => kind === "code" && address >= start && address < start + sizeBytes,
  );
  if (area === undefined) throw new RebootlessError("bug/invariant", "The trampoline has no room.");
  trampoline.copy(area.contents, address - area.address);
}

/** What the record keeps of it. */
export function recordedCalls(planned: PlannedCalls): RecordedCalls {
  const {
    resolvers: _resolvers,
    registrations: _registrations,
    beforeApply: _before,
    afterApply: _after,
    ...kept
  } = planned;
  return kept;
}

/** Lines for the plan's steps. */
export function describeCalls(calls: PlannedCalls, { binaries, unwinders }: LinuxProbe): string[] {
  const hook = (moment: string) => (found: RecordedHook) => `call the hook ${found.name} ${moment}`;
  const told = unwinders.map(({ path }) => `make the unwind entries of new code known to ${path}`);
  const hasFrames = calls.frames.length > 0;
  return [
    ...calls.resolvers.map(({ name }) => `call ${name} (IFUNC)`),
    ...(hasFrames ? told : []),
    ...(unwinders.length === 0 && binaries.length > 0
      ? ["no unwinder is loaded: what walks the stack by one ends at new code"]
      : []),
    ...calls.beforeApply.map(hook("while every thread stands still, before the switch")),
    ...calls.afterApply.map(hook("after the switch, while the process runs")),
  ];
}

/**
 * Looking at a process before anything is done to it: which binaries it runs, whether their bytes are those that the hotpatch is for, what is patched in it already.
 */
import { createHash } from "node:crypto";
import { refuse } from "../../base/refusal.ts";
import type { ElfBinary, ElfFunction } from "../../hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";
import { readProcFolder, readProcText } from "../../process/proc-file.ts";
import { readProcess, readStat } from "../../process/process.ts";
import type { ProcessReference } from "../engine.ts";
import { foreignJump, jumpBytes } from "./gate.ts";
import { linkMaps } from "./link-map.ts";
import { type LoadedImage, loadedImages } from "./loaded-image.ts";
import type { Mapping } from "./memory-map.ts";
import { readRecords } from "./patch-memory.ts";
import { ProcessMemory } from "./process-memory.ts";
import type { PatchRecord } from "./record.ts";
import { findGadgets, type Gadgets } from "./remote-call.ts";
import { type ResolvedSymbol, SymbolResolver } from "./resolve-symbols.ts";
import { threadIds } from "./thread-stop.ts";
import { findUnwinders, mayHideUnwinder, type Unwinder } from "./unwinders.ts";

export interface ProbedBinary {
  readonly binary: ElfBinary;
  readonly start: number;
  readonly end: number;
  readonly bias: number;
  readonly path: string;
  /** By place in `binary.functions`: the old bytes, whatever hotpatches of ours stand there, and what follows them. */
  readonly bytes: readonly Buffer[];
  readonly external: ReadonlyMap<string, ResolvedSymbol>;
}

export interface LinuxProbe {
  readonly target: ProcessReference;
  readonly description: string;
  readonly threads: number;
  readonly mappings: readonly Mapping[];
  readonly gadgets: Gadgets;
  readonly binaries: readonly ProbedBinary[];
  /** Names of binaries of the hotpatch that this process does not run. */
  readonly absent: readonly string[];
  readonly records: readonly PatchRecord[];
  /** The original code of functions of hotpatches that this one supersedes, and what follows it, by address. */
  readonly supersededCode: ReadonlyMap<number, Buffer>;
  /** What has to know of new code so that exceptions pass through it. */
  readonly unwinders: readonly Unwinder[];
  /** Whether there may be one more, which cannot be told. */
  readonly mayHideUnwinder: boolean;
}

/** The process as it is now; refuses with `target/gone`, `target/wrong-process` and what opening its memory does. */
export function openProcess({ pid, startTicks }: ProcessReference): ProcessMemory {
  const info = readProcess(pid);
  if (info?.state === "Z" && hasLivingThread(pid))
    refuse(
      "target/main-thread-ended",
      `The main thread of process ${pid} has ended, as pthread_exit does it, while others run on; the kernel shows neither the memory nor the binaries of such a process under its number. Only a restart brings it the fix.`,
    );
  if (info === undefined || info.state === "Z" || info.state === "X")
    refuse("target/gone", `Process ${pid} has ended.`);
  if (info.startTicks !== startTicks) refuse("target/wrong-process", `Process ${pid} is another one than before.`);
  if (info.tracerPid !== 0) {
    const tracer = readProcess(info.tracerPid)?.comm ?? "another process";
    refuse(
      "target/debugger-attached",
      `Process ${pid} is traced by ${tracer} (PID ${info.tracerPid}); a process has one tracer. End or detach it first.`,
      { tracerPid: info.tracerPid, tracer },
    );
  }
  return new ProcessMemory(pid);
}

/** Of a process whose first thread is a zombie. */
function hasLivingThread(pid: number): boolean {
  const names = readProcFolder(`/proc/${pid}/task`);
  return (
    typeof names !== "string" && names.some((tid) => !["Z", "X", undefined].includes(readStat(Number(tid))?.state))
  );
}

export function probeProcess(target: ProcessReference, hotpatch: Hotpatch): LinuxProbe {
  const change = elfChangeOf(hotpatch.manifest);
  const memory = openProcess(target);
  try {
    const mappings = memory.maps();
    const images = loadedImages(memory, mappings);
    const { wanted, absent } = findImages(change.binaries, images, target.pid);
    checkProtection(target.pid);
    const records = readRecords(memory, mappings);
    const gadgets = findGadgets(memory, mappings);
    if (gadgets === undefined)
      refuse("target/no-gadget", `Process ${target.pid} has no code through which it could make a system call for us.`);
    const executable = images.find(({ path }) => path === exePath(target.pid)) ?? images[0];
    if (executable?.image === undefined)
      refuse("target/gone", `Process ${target.pid} has ended, or begun another program.`);
    const resolver = new SymbolResolver(memory, linkMaps(memory, images, executable), executable);
    const byName = new Map(wanted.map(({ binary, image }) => [binary.name, image]));
    const binaries = wanted.map(({ binary, image }) => ({
      binary,
      start: image.start,
      end: image.end,
      bias: image.bias,
      path: image.path,
      bytes: binary.functions.map((found) => oldBytes(memory, found, image, records)),
      external: new Map(binary.symbols.map((symbol) => [symbol.name, resolver.resolve(symbol, image, byName)])),
    }));
    const description = readProcess(target.pid)?.commandLine.join(" ").slice(0, 200) ?? "";
    const supersededCode = codeOf(
      memory,
      records.filter(({ id }) => hotpatch.manifest.supersedes.includes(id)),
      records,
    );
    const unwinders = findUnwinders(target.pid, resolver, executable);
    return {
      target,
      description,
      threads: threadIds(target.pid).length,
      mappings,
      gadgets,
      binaries,
      absent,
      records,
      supersededCode,
      unwinders,
      mayHideUnwinder: unwinders.length === 0 && mayHideUnwinder(images, executable),
    };
  } finally {
    memory.close();
  }
}

function exePath(pid: number): string | undefined {
  return readProcess(pid)?.executable?.path;
}

interface WantedBinary {
  readonly binary: ElfBinary;
  readonly image: LoadedImage;
}

/**
 * A package has programs and libraries, and a process runs some of them: those that it does not run are left out.
 *
 * Refuses with `target/package-absent` where it runs none, and where it runs another build of one.
 */
function findImages(
  binaries: readonly ElfBinary[],
  images: readonly LoadedImage[],
  pid: number,
): { wanted: WantedBinary[]; absent: string[] } {
  const isLoaded = ({ name, buildId }: ElfBinary): boolean =>
    images.some((image) => image.buildId === buildId || image.path.split("/").at(-1) === name);
  const present = binaries.filter(isLoaded);
  const concerned = present.length > 0 ? present : binaries;
  return {
    wanted: concerned.map((binary) => ({ binary, image: findImage(binary, images, pid) })),
    absent: binaries.filter((binary) => !concerned.includes(binary)).map(({ name }) => name),
  };
}

function findImage(binary: ElfBinary, images: readonly LoadedImage[], pid: number): LoadedImage {
  const [found, second] = images.filter(({ buildId }) => buildId === binary.buildId);
  // One copy fixed and the other not would be called applied.
  if (second !== undefined)
    refuse(
      "target/loaded-twice",
      `Process ${pid} runs ${binary.name} more than once, as dlmopen does it, and a hotpatch changes one copy alone.`,
    );
  if (found !== undefined) return found;
  const namesake = images.find(({ path }) => path.split("/").at(-1)?.startsWith(binary.name) === true);
  if (namesake === undefined)
    refuse(
      "target/package-absent",
      `Process ${pid} has not loaded ${binary.name} with the build-id ${binary.buildId}.`,
    );
  if (namesake.buildId === undefined)
    refuse(
      "target/no-build-id",
      `${namesake.path} in process ${pid} has no build-id, so nothing says which build it is.`,
    );
  return refuse(
    "target/version-mismatch",
    `Process ${pid} runs another build of ${binary.name}: ${namesake.buildId}, where the hotpatch is for ${binary.buildId}.`,
  );
}

/** How much behind a function is looked at for padding. */
const behindBytes = 32;

/** The bytes as the file had them: what hotpatches of ours have written over them is undone in the copy. */
function oldBytes(
  memory: ProcessMemory,
  found: ElfFunction,
  image: LoadedImage,
  records: readonly PatchRecord[],
): Buffer {
  const address = image.bias + found.address;
  const bytes = memory.readSome(address, found.sizeBytes + behindBytes);
  if (bytes.length < found.sizeBytes) differs(found, image, "is not in memory");
  undoJumps(bytes, address, records);
  const digest = createHash("sha256").update(bytes.subarray(0, found.sizeBytes)).digest("hex");
  if (digest === found.sha256) return bytes;
  const hook = foreignJump(bytes, address);
  if (hook === undefined) return differs(found, image, "has other bytes than the hotpatch was built for");
  return refuse(
    "target/foreign-hook",
    `Somebody else has redirected ${found.name} in ${image.path}: it begins with ${hook}${ownerOf(hook, memory)}.`,
    { function: found.name },
  );
}

function undoJumps(bytes: Buffer, address: number, records: readonly PatchRecord[]): void {
  for (const { functions, dropped = [] } of records) {
    for (const { entry, original, jump } of [...functions, ...dropped]) {
      const at = entry - address;
      if (at < 0 || at + jumpBytes > bytes.length) continue;
      if (bytes.subarray(at, at + jumpBytes).toString("hex") === jump) bytes.write(original, at, "hex");
    }
  }
}

function codeOf(
  memory: ProcessMemory,
  chosen: readonly PatchRecord[],
  records: readonly PatchRecord[],
): Map<number, Buffer> {
  const code = new Map<number, Buffer>();
  for (const { address, sizeBytes } of chosen.flatMap(({ functions }) => functions)) {
    const bytes = memory.readSome(address, sizeBytes + behindBytes);
    undoJumps(bytes, address, records);
    code.set(address, bytes);
  }
  return code;
}

/** Whose memory the hook leads into, as the map names it. */
function ownerOf(hook: string, memory: ProcessMemory): string {
  const target = Number(/0x[0-9a-f]+$/.exec(hook)?.[0] ?? Number.NaN);
  const mapping = memory.maps().find(({ start, end }) => target >= start && target < end);
  return mapping === undefined ? "" : `, in ${mapping.name === "" ? "memory without a name" : mapping.name}`;
}

function differs(found: ElfFunction, image: LoadedImage, how: string): never {
  refuse("target/function-differs", `The function ${found.name} of ${image.path} ${how}.`, { function: found.name });
}

/** What the process has asked the kernel to guard it with, where that forbids what we do. */
function checkProtection(pid: number): void {
  const text = readProcText(`/proc/${pid}/status`, 65_536) ?? "";
  if (/^x86_Thread_features:.*\bshstk\b/m.test(text))
    refuse(
      "target/shadow-stack",
      `Process ${pid} runs with a shadow stack, which refuses the return that a call for us needs.`,
    );
}

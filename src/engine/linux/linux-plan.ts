/**
 * The plan of an apply: where patch memory goes, what its bytes are, which entries change into what. Pure.
 */
import { createHash } from "node:crypto";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { symbolType } from "../../elf/constants.ts";
import { parseElf } from "../../elf/elf-file.ts";
import { staticSymbols } from "../../elf/symbols.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";
import type { PlanPolicy, PlanSummary, ProcessReference } from "../engine.ts";
import { buildGate, gateRoomBytes } from "./gate.ts";
import { rangesForRevert } from "./guarded-ranges.ts";
import {
  type AreaKind,
  areaKinds,
  type LinkedObject,
  linkObject,
  type MeasuredObject,
  measureObject,
} from "./link-object.ts";
import type { LinuxProbe, ProbedBinary } from "./linux-probe.ts";
import { findGap, pageUp } from "./memory-map.ts";
import type { Area } from "./patch-memory.ts";
import {
  callsRecordBytes,
  describeCalls,
  type LinkedBinary,
  needsCalls,
  noCalls,
  type PlannedCalls,
  planCalls,
  putTrampoline,
  recordedCalls,
} from "./plan-calls.ts";
import {
  type DroppedFunction,
  encodeRecord,
  flagOffset,
  type PatchRecord,
  type RecordBody,
  type RecordedCode,
  type RecordedFunction,
} from "./record.ts";
import type { Gadgets } from "./remote-call.ts";
import { type CallRoom, callRoomBytes } from "./remote-function.ts";
import type { GuardedRange } from "./stack-scan.ts";
import { droppedFunctions, findNeighbours, initialFlag } from "./supersede.ts";
import { checkWithoutUnwinder } from "./unwinders.ts";

/** An area with what is written into it before the stop. */
export interface PlannedArea extends Area {
  readonly contents: Buffer;
}

export interface LinuxPlan extends PlanSummary {
  readonly runtime: "linux";
  readonly target: ProcessReference;
  readonly threads: number;
  readonly gadgets: Gadgets;
  readonly areas: readonly PlannedArea[];
  readonly functions: readonly RecordedFunction[];
  /** Parts of old functions without an entry of their own (`.cold`): no thread may be inside them at the switch. */
  readonly watched: readonly GuardedRange[];
  readonly record: Buffer;
  readonly flag: number;
  /** What earlier runs left behind, to be taken out first. */
  readonly leftovers: readonly PatchRecord[];
  /** Hotpatches in effect whose place it takes in the same stop. */
  readonly superseded: readonly PatchRecord[];
  readonly dropped: readonly DroppedFunction[];
  readonly isInPlace: boolean;
  /** Threads may be inside the functions; a person has ordered so. */
  readonly forced: boolean;
  readonly calls: PlannedCalls;
  /** The same plan with what the resolvers of its IFUNC symbols have answered. */
  readonly linkAgain: (chosen: ReadonlyMap<number, number>) => LinuxPlan;
}

/** Room for the record is measured before its addresses are known; they are written with as many digits as the largest. */
const recordSlackBytes = 256;
const recordBytesPerFunction = 700;
const recordBytesPerCode = 120;
/** From what was measured: the stop itself, and each thread. */
const pauseBaseMs = 0.06;
const pausePerThreadMs = 0.015;

interface Placed {
  readonly probed: ProbedBinary;
  readonly object: MeasuredObject;
  readonly base: Readonly<Record<AreaKind, number>>;
}

export interface PlanOptions {
  /** Of the hotpatch, which tells one build of an id from another. */
  readonly digest: string;
  readonly policy: PlanPolicy;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly forceImmediate: boolean;
  /** What resolvers of IFUNC symbols have answered, by resolver. */
  readonly chosen?: ReadonlyMap<number, number>;
}

export function planApply(probe: LinuxProbe, hotpatch: Hotpatch, options: PlanOptions): LinuxPlan {
  const { digest, policy, now, forceImmediate } = options;
  const { manifest } = hotpatch;
  const { target, binaries, records } = probe;
  const addresses = new Set(
    binaries.flatMap(({ binary, bias }) => binary.functions.map(({ address }) => bias + address)),
  );
  const { own, superseded, leftovers } = findNeighbours(records, manifest, { pid: target.pid, digest, addresses });
  const predictedPauseMs = predictPause(probe, policy);
  const common = {
    runtime: "linux" as const,
    target,
    threads: probe.threads,
    gadgets: probe.gadgets,
    process: { pid: target.pid, description: probe.description },
    predictedPauseMs,
    leftovers,
    superseded,
    isInPlace: own !== undefined,
    forced: forceImmediate,
    linkAgain: (chosen: ReadonlyMap<number, number>) => planApply(probe, hotpatch, { ...options, chosen }),
  };
  if (own !== undefined)
    return {
      ...common,
      steps: leftovers.length === 0 ? ["nothing: it is in place"] : ["unmap what an interrupted run has left"],
      areas: [],
      functions: [],
      dropped: [],
      watched: [],
      record: Buffer.alloc(0),
      flag: 0,
      calls: noCalls,
    };
  const dropping = droppedFunctions(superseded, redirectedAddresses(binaries));
  const hasCalls = needsCalls(probe, hotpatch);
  const placed = place(probe, hotpatch, dropping, hasCalls);
  const linked = linkAll(placed, { superseded, dropping, probe, forceImmediate, chosen: options.chosen ?? new Map() });
  const { areas, functions, dropped, flag, code, objects } = linked;
  const room = callRoom(placed[0] as Placed, dropping);
  const calls = hasCalls ? planCalls(probe, elfChangeOf(manifest), objects, room) : noCalls;
  if (hasCalls) putTrampoline(areas, calls.trampoline);
  const supersedes = superseded.map(({ id, address }) => ({ id, address }));
  const record = encodeRecord({
    ...recordBody(manifest.id, digest, now, areas, functions),
    ...(superseded.length === 0 ? {} : { supersedes, dropped: [...dropped] }),
    ...(forceImmediate ? { forced: true as const } : {}),
    code,
    ...(hasCalls ? { calls: recordedCalls(calls) } : {}),
  });
  const [first] = areas as [PlannedArea];
  if (record.length > roomFor(probe, hotpatch, dropping))
    throw new RebootlessError("bug/invariant", "The record is larger than its room.");
  record[flagOffset] = initialFlag(superseded);
  record.copy(first.contents, 0);
  return {
    ...common,
    steps: [...describeAbsent(probe), ...describeSteps(placed, areas, superseded), ...describeCalls(calls, probe)],
    calls,
    areas,
    functions,
    dropped,
    watched: [...(forceImmediate ? [] : watchedParts(placed)), ...superseded.flatMap(rangesForRevert)],
    record,
    flag,
  };
}

function predictPause({ threads, target }: LinuxProbe, { maxPauseMs }: PlanPolicy): number {
  const predictedPauseMs = pauseBaseMs + threads * pausePerThreadMs;
  if (predictedPauseMs > maxPauseMs)
    refuse(
      "plan/pause-over-budget",
      `Process ${target.pid} has ${threads} threads; it would pause for some ${predictedPauseMs.toFixed(1)} ms, more than ${maxPauseMs} ms.`,
    );
  return predictedPauseMs;
}

function redirectedAddresses(binaries: readonly ProbedBinary[]): ReadonlySet<number> {
  return new Set(
    binaries.flatMap(({ binary, bias }) =>
      binary.functions.flatMap(({ address, replacement }) => (replacement === undefined ? [] : [bias + address])),
    ),
  );
}

interface LinkContext {
  readonly superseded: readonly PatchRecord[];
  readonly dropping: readonly RecordedFunction[];
  readonly probe: LinuxProbe;
  readonly forceImmediate: boolean;
  readonly chosen: ReadonlyMap<number, number>;
}

function linkAll(placed: readonly Placed[], context: LinkContext) {
  const [first] = placed as [Placed];
  const flag = first.base.constant + flagOffset;
  const areas: PlannedArea[] = [];
  const functions: RecordedFunction[] = [];
  const code: RecordedCode[] = [];
  const objects: LinkedBinary[] = [];
  let dropped: DroppedFunction[] = [];
  for (const one of placed) {
    const { linked, gated } = linkBinary(one, flag, context);
    const { contents } = linked;
    objects.push({ name: one.probed.binary.name, linked });
    code.push(codeOf(one.probed, linked));
    const names = gated.map(({ name }) => name);
    if (context.probe.mayHideUnwinder) checkWithoutUnwinder(one.object, names, one.probed.path);
    functions.push(...gated);
    if (one === first) dropped = gateDropped(one, flag, context, contents.code);
    for (const kind of areaKinds) {
      const sizeBytes = pageUp(one.object.sizes[kind]);
      if (sizeBytes > 0)
        areas.push({ kind, address: one.base[kind], sizeBytes, contents: padded(contents[kind], sizeBytes) });
    }
  }
  return { areas, functions, dropped, flag, code, objects };
}

/** Gates back to the functions' own code, behind those of the first binary. */
function gateDropped(
  { probed, base }: Placed,
  flag: number,
  { dropping, probe }: LinkContext,
  room: Buffer,
): DroppedFunction[] {
  return dropping.map(({ name, binary, address, sizeBytes, jump, gate: previousGate }, index) => {
    const at = (probed.binary.functions.length + index) * gateRoomBytes;
    const gate = base.code + at;
    const bytes = probe.supersededCode.get(address);
    if (bytes === undefined) throw new RebootlessError("bug/invariant", `The code of ${name} was not read.`);
    const built = buildGate({
      name,
      bytes,
      sizeBytes,
      address,
      gate,
      flag,
      flagPointer: flag,
      replacement: undefined,
      isSuperseding: true,
      previousGate,
    });
    built.code.copy(room, at);
    return {
      name,
      binary,
      entry: built.entry,
      original: built.original.toString("hex"),
      previous: jump,
      jump: built.jump.toString("hex"),
    };
  });
}

function recordBody(
  id: string,
  digest: string,
  now: number,
  areas: readonly PlannedArea[],
  functions: RecordedFunction[],
): RecordBody {
  return {
    id,
    digest,
    preparedAt: now,
    areas: areas.map(({ kind, address, sizeBytes, contents }) => ({
      kind,
      address,
      sizeBytes,
      sha256: kind === "data" ? "" : contentDigest(contents),
    })),
    functions,
  };
}

function padded(contents: Buffer, sizeBytes: number): Buffer {
  return Buffer.concat([contents, Buffer.alloc(sizeBytes - contents.length)]);
}

/** Of an area as it was linked; the room of a record counts as zeros. */
export function contentDigest(contents: Buffer): string {
  return createHash("sha256").update(contents).digest("hex");
}

/** Written twice, as code and as what is called; JSON takes up to six bytes for a letter. */
function recordRoom({ binary }: ProbedBinary, functions: readonly string[]): number {
  const names = binary.functions.reduce((sum, { name }) => sum + name.length * 6 + binary.name.length * 6, 0);
  const code = functions.reduce((sum, name) => sum + name.length * 6 + recordBytesPerCode, 0);
  return recordSlackBytes * 8 + names + code + binary.functions.length * recordBytesPerFunction;
}

function droppedRoom(dropping: readonly RecordedFunction[]): number {
  return dropping.reduce(
    (sum, { name, binary }) => sum + (name.length + binary.length) * 6 + recordBytesPerFunction,
    0,
  );
}

function roomFor(probe: LinuxProbe, hotpatch: Hotpatch, dropping: readonly RecordedFunction[]): number {
  let total = droppedRoom(dropping) + callsRecordBytes(probe, hotpatch);
  for (const probed of probe.binaries) {
    const elf = parseElf(hotpatch.payloads.get(probed.binary.object) as Uint8Array);
    const functions = staticSymbols(elf).filter(({ type, section }) => type === symbolType.function && section !== 0);
    const names = functions.map(({ name }) => name);
    total += recordRoom(probed, names);
  }
  return Math.ceil(total / 64) * 64;
}

function codeOf({ binary }: ProbedBinary, { frames, functions }: LinkedObject): RecordedCode {
  const unwind = frames === undefined ? {} : { unwind: { ...frames } };
  return { binary: binary.name, ...unwind, functions: [...functions] };
}

/** The trampoline stands behind the gates of the first binary, list and stack at the beginning of its data. */
function callRoom({ base, probed }: Placed, dropping: readonly RecordedFunction[]): CallRoom {
  const gates = probed.binary.functions.length + dropping.length;
  return { trampoline: base.code + gates * gateRoomBytes, list: base.data };
}

/** The beginnings of the areas: the record (in the first binary's), the pointer to the flag, the gates. */
function place(
  probe: LinuxProbe,
  hotpatch: Hotpatch,
  dropping: readonly RecordedFunction[],
  hasCalls: boolean,
): Placed[] {
  const { binaries, mappings } = probe;
  const recordBytes = roomFor(probe, hotpatch, dropping);
  let taken = [...mappings];
  return binaries.map((probed, index) => {
    const bytes = hotpatch.payloads.get(probed.binary.object);
    if (bytes === undefined)
      throw new RebootlessError("bug/invariant", `The hotpatch has no payload ${probed.binary.object}.`);
    const reserved = {
      constant: (index === 0 ? recordBytes : 0) + pointerBytes,
      code:
        (probed.binary.functions.length + (index === 0 ? dropping.length : 0)) * gateRoomBytes +
        (index === 0 && hasCalls ? trampolineRoomBytes : 0),
      data: index === 0 && hasCalls ? callRoomBytes : 0,
    };
    const object = measureObject(bytes, reserved, probed.external);
    const sizes = areaKinds.map((kind) => pageUp(object.sizes[kind]));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const start = findGap(taken, total, [probed]);
    if (start === undefined)
      refuse("target/no-room", `There are no ${total} free bytes within reach of ${probed.path} (2 GiB).`);
    const base = { constant: start, code: start + (sizes[0] ?? 0), data: start + (sizes[0] ?? 0) + (sizes[1] ?? 0) };
    const own = { start, end: start + total, permissions: "r--p", offset: 0, device: "00:00", inode: 0, name: "" };
    taken = [...taken, own].sort((one, other) => one.start - other.start);
    return { probed, object, base };
  });
}

const pointerBytes = 8;
const trampolineRoomBytes = 128;

function linkBinary(
  { probed, object, base }: Placed,
  flag: number,
  { superseded, forceImmediate, chosen }: LinkContext,
): { linked: LinkedObject; gated: RecordedFunction[] } {
  const { binary, bias, external, bytes } = probed;
  const redirected = binary.functions.flatMap(({ replacement, ...found }, index) =>
    replacement === undefined ? [] : [{ ...found, replacement, bytes: bytes[index] as Buffer }],
  );
  const replaced = new Map(redirected.map(({ replacement, address }) => [replacement, bias + address]));
  const linked = linkObject(object, { areas: base, external, chosen, replaced });
  const isFirst = flag === base.constant + flagOffset;
  const flagPointer = isFirst ? flag : base.constant;
  if (!isFirst) linked.contents.constant.writeBigUInt64LE(BigInt(flag), 0);
  const gated = redirected.map((found, index): RecordedFunction => {
    const target = linked.find(found.replacement);
    if (target === undefined)
      refuse("target/symbol-missing", `The object for ${binary.name} does not define ${found.replacement}.`);
    const address = bias + found.address;
    const gate = base.code + index * gateRoomBytes;
    const older = superseded.flatMap(({ functions }) => functions).find((other) => other.address === address);
    const { code, entry, original, jump } = buildGate({
      name: found.name,
      bytes: found.bytes,
      sizeBytes: found.sizeBytes,
      address,
      gate,
      flag,
      flagPointer,
      replacement: target.address,
      isSuperseding: superseded.length > 0,
      ...(older === undefined ? {} : { previousGate: older.gate }),
    });
    code.copy(linked.contents.code, index * gateRoomBytes);
    return {
      name: found.name,
      binary: binary.name,
      address,
      sizeBytes: found.sizeBytes,
      entry,
      original: original.toString("hex"),
      jump: jump.toString("hex"),
      ...(older === undefined ? {} : { previous: older.jump }),
      gate,
      replacement: target.address,
      replacementBytes: target.sizeBytes,
      immediate: forceImmediate || found.policy === "immediate",
    };
  });
  return { linked, gated };
}

function watchedParts(placed: readonly Placed[]): GuardedRange[] {
  return placed.flatMap(({ probed: { binary, bias } }) =>
    binary.functions
      .filter(({ replacement }) => replacement === undefined)
      .map(({ name, address, sizeBytes }) => ({ name, start: bias + address, end: bias + address + sizeBytes })),
  );
}

function describeAbsent({ absent }: LinuxProbe): string[] {
  return absent.map((name) => `leave out ${name}, which the process does not run`);
}

function describeSteps(
  placed: readonly Placed[],
  areas: readonly PlannedArea[],
  superseded: readonly PatchRecord[],
): string[] {
  return [
    ...areas.map(
      ({ kind, address, sizeBytes }) => `map ${sizeBytes} bytes of ${kind} memory at 0x${address.toString(16)}`,
    ),
    ...placed.flatMap(({ probed }) =>
      probed.binary.functions.map(
        ({ name, policy, address, replacement }) =>
          `${probed.path}: ${replacement === undefined ? "watch" : "redirect"} ${name} at 0x${(probed.bias + address).toString(16)} (${policy})`,
      ),
    ),
    superseded.length === 0
      ? "switch all of them by one flag, while every thread stands still"
      : `switch from ${superseded.map(({ id }) => id).join(", ")} to all of them by one flag, while every thread stands still; then unmap what was superseded`,
  ];
}

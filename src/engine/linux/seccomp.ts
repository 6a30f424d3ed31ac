/**
 * Whether a thread's seccomp filters let it make a call for us, found out without making it: the filters are read and run here.
 *
 * Filters are programs of classic BPF over `struct seccomp_data` (linux/seccomp.h, Documentation/userspace-api/seccomp_filter.rst); what this interpreter does not know counts as "no".
 * Reading them takes CAP_SYS_ADMIN; without it, a filtered process is refused, since a forbidden call may be the death of it.
 */
import { refuse } from "../../base/refusal.ts";
import { readProcText } from "../../process/proc-file.ts";
import type { SystemCall } from "./remote-call.ts";
import { lastErrno, ptraceBuffer, ptraceRequest } from "./system-calls.ts";

const auditArchX86 = 0xc000003e;
const allow = 0x7fff0000;
const log = 0x7ffc0000;
const actionMask = 0xffff0000;
const maxInstructions = 4096;
const maxFilters = 256;

/** 0 none, 1 strict, 2 filters (proc(5), Seccomp). */
export function seccompMode(tid: number): number {
  return Number(/^Seccomp:\s+(\d+)/m.exec(readProcText(`/proc/${tid}/status`, 65_536) ?? "")?.[1] ?? 0);
}

/** `tid` is stopped. Refuses with `target/seccomp` unless every filter allows each call. */
export function checkSeccomp(tid: number, calls: readonly SystemCall[]): void {
  const mode = seccompMode(tid);
  if (mode === 0) return;
  if (mode === 1)
    refuse(
      "target/seccomp",
      `Thread ${tid} is in seccomp's strict mode, which forbids the calls that patch memory needs.`,
    );
  const buffer = Buffer.alloc(maxInstructions * 8);
  for (let index = 0; index < maxFilters; index++) {
    const count = ptraceBuffer(ptraceRequest.getSeccompFilter, tid, index, buffer);
    if (count < 0) {
      const errno = lastErrno();
      if (errno === "ENOENT" && index > 0) return;
      refuse(
        "target/seccomp",
        `Thread ${tid} is confined by seccomp, and its filters cannot be read (${errno}), so nothing says whether it may make the calls that patch memory needs. Root (CAP_SYS_ADMIN) can read them.`,
      );
    }
    for (const call of calls) {
      const verdict = runFilter(buffer.subarray(0, count * 8), dataFor(call));
      if (verdict !== allow && verdict !== log)
        refuse(
          "target/seccomp",
          `Thread ${tid} is confined by a seccomp filter that forbids ${call.name}, which patch memory needs.`,
          { call: call.name },
        );
    }
  }
}

function dataFor({ number, arguments: given }: SystemCall): Buffer {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(auditArchX86, 4);
  for (let index = 0; index < 6; index++) data.writeBigInt64LE(BigInt(given[index] ?? 0), 16 + index * 8);
  return data;
}

/** The action of one filter, without its data; undefined for a program that is not understood. */
export function runFilter(program: Buffer, data: Buffer): number | undefined {
  let accumulator = 0;
  let index = 0;
  const scratch = new Uint32Array(16);
  for (let at = 0; at * 8 + 8 <= program.length; at++) {
    const code = program.readUInt16LE(at * 8);
    const ifTrue = program.readUInt8(at * 8 + 2);
    const ifFalse = program.readUInt8(at * 8 + 3);
    const k = program.readUInt32LE(at * 8 + 4);
    const operand = (code & 8) === 0 ? k : index;
    switch (code & 7) {
      case 0: // BPF_LD
      case 1: {
        // BPF_LDX
        const loaded = load(code, k, data, scratch);
        if (loaded === undefined) return undefined;
        if ((code & 7) === 0) accumulator = loaded;
        else index = loaded;
        break;
      }
      case 2:
        scratch[k & 15] = accumulator;
        break;
      case 3:
        scratch[k & 15] = index;
        break;
      case 4: {
        const result = compute(code & 0xf0, accumulator, operand);
        if (result === undefined) return undefined;
        accumulator = result;
        break;
      }
      case 5:
        at += (code & 0xf0) === 0 ? k : holds(code & 0xf0, accumulator, operand) ? ifTrue : ifFalse;
        break;
      case 6:
        return (((code & 0x18) === 0x10 ? accumulator : k) & actionMask) >>> 0;
      default:
        if ((code & 0xf8) === 0) index = accumulator;
        else accumulator = index;
    }
  }
  return undefined;
}

/** BPF_W of BPF_ABS, BPF_IMM, BPF_MEM and BPF_LEN. */
function load(code: number, k: number, data: Buffer, scratch: Uint32Array): number | undefined {
  const mode = code & 0xe0;
  if (mode === 0x00) return k;
  if (mode === 0x60) return scratch[k & 15];
  if (mode === 0x80) return data.length;
  return mode === 0x20 && (code & 0x18) === 0 && k + 4 <= data.length ? data.readUInt32LE(k) : undefined;
}

function compute(operation: number, left: number, right: number): number | undefined {
  switch (operation) {
    case 0x00:
      return (left + right) >>> 0;
    case 0x10:
      return (left - right) >>> 0;
    case 0x20:
      return Math.imul(left, right) >>> 0;
    case 0x30:
      return right === 0 ? undefined : Math.floor(left / right);
    case 0x40:
      return (left | right) >>> 0;
    case 0x50:
      return (left & right) >>> 0;
    case 0x60:
      return right > 31 ? 0 : (left << right) >>> 0;
    case 0x70:
      return right > 31 ? 0 : left >>> right;
    case 0x80:
      return -left >>> 0;
    case 0xa0:
      return (left ^ right) >>> 0;
    default:
      return undefined;
  }
}

function holds(operation: number, left: number, right: number): boolean {
  if (operation === 0x10) return left === right;
  if (operation === 0x20) return left > right;
  if (operation === 0x30) return left >= right;
  return (left & right) !== 0;
}

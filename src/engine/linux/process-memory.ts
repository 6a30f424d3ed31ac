/**
 * The memory of another process by /proc/PID/mem: read and written with plain file calls, also where its pages are not writable.
 *
 * Opening it asks for the same right as attaching does; a process that has ended reads as nothing.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { readProcText } from "../../process/proc-file.ts";
import { type Mapping, parseMaps } from "./memory-map.ts";
import { beforeCall, type FixedBytes, lastErrno, readAt, writeAt } from "./system-calls.ts";

/** Maps of the largest processes have some hundred thousand lines. */
const mapsBytes = 64 * 1024 * 1024;

export class ProcessMemory {
  readonly pid: number;
  readonly #descriptor: number;

  /** Refuses with `target/gone` or `target/not-permitted`. */
  constructor(pid: number) {
    this.pid = pid;
    try {
      this.#descriptor = openSync(`/proc/${pid}/mem`, "r+");
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT" || code === "ESRCH") refuse("target/gone", `Process ${pid} has ended.`);
      if (code !== "EACCES" && code !== "EPERM") throw error;
      refuse("target/not-permitted", notPermitted(pid));
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** As many bytes as are there, up to `sizeBytes`. */
  readSome(address: number, sizeBytes: number): Buffer {
    const buffer = Buffer.alloc(sizeBytes);
    return buffer.subarray(0, this.readInto(buffer, address));
  }

  /** Answers how many bytes were there. */
  readInto(buffer: Uint8Array, address: number): number {
    let total = 0;
    try {
      while (total < buffer.length) {
        const count = readSync(this.#descriptor, buffer, total, buffer.length - total, address + total);
        if (count === 0) break;
        total += count;
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // EIO: not mapped, or not readable at all; the bytes before it count. ESRCH: the process has ended.
      if (code !== "EIO" && code !== "EFAULT" && code !== "ESRCH") throw error;
    }
    return total;
  }

  /** Throws `failure/target-memory` when they are not all there. */
  read(address: number, sizeBytes: number): Buffer {
    const bytes = this.readSome(address, sizeBytes);
    if (bytes.length === sizeBytes) return bytes;
    return this.#fail(`reading ${sizeBytes} bytes at 0x${address.toString(16)}`);
  }

  /** Throws `failure/target-memory`. */
  write(address: number, bytes: Uint8Array): void {
    beforeCall("write");
    let total = 0;
    try {
      while (total < bytes.length) {
        const count = writeSync(this.#descriptor, bytes, total, bytes.length - total, address + total);
        if (count === 0) break;
        total += count;
      }
    } catch (error) {
      this.#fail(`writing ${bytes.length} bytes at 0x${address.toString(16)}`, error);
    }
    if (total < bytes.length) this.#fail(`writing ${bytes.length} bytes at 0x${address.toString(16)}`);
  }

  /** As `readInto`, into the beginning of bytes that were prepared for it; answers how many were there. */
  readFixed(address: number, { address: target }: FixedBytes, sizeBytes: number): number {
    return Math.max(0, readAt(this.#descriptor, target, sizeBytes, address));
  }

  /** As `write`, with bytes that were prepared for it. */
  writeFixed(address: number, { address: source, buffer }: FixedBytes): void {
    if (writeAt(this.#descriptor, source, buffer.length, address) === buffer.length) return;
    this.#fail(`writing ${buffer.length} bytes at 0x${address.toString(16)} (${lastErrno()})`);
  }

  maps(): Mapping[] {
    const text = readProcText(`/proc/${this.pid}/maps`, mapsBytes);
    return parseMaps(text ?? "");
  }

  #fail(what: string, cause?: unknown): never {
    throw new RebootlessError("failure/target-memory", `The memory of process ${this.pid} failed us while ${what}.`, {
      cause,
      details: { pid: this.pid },
    });
  }
}

function notPermitted(pid: number): string {
  const scope = readProcText("/proc/sys/kernel/yama/ptrace_scope", 16)?.trim();
  const help =
    scope === undefined || scope === "0"
      ? "It belongs to another user, changed its credentials, or forbids core dumps; run the command as root (CAP_SYS_PTRACE)."
      : `kernel.yama.ptrace_scope is ${scope}: with 1 a process may only be patched by its ancestors or with CAP_SYS_PTRACE, with 2 only with CAP_SYS_PTRACE, with 3 by nobody until the next boot.`;
  return `Process ${pid} may not be changed by this user. ${help}`;
}

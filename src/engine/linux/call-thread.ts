/**
 * Choosing the thread that calls a function for us: one that holds no lock which the callee may take.
 *
 * Locks cannot be seen from outside, so a thread is chosen by where it stands: in a system call in which programs wait, or in the program's own code, and in neither case below malloc, the dynamic linker or the unwinder.
 */
import { RefusalError, refuse } from "../../base/refusal.ts";
import { innermostFrame, lookUpAddress, unwindStep } from "../../elf/eh-frame/unwind-step.ts";
import { UnwindSpace } from "../../elf/eh-frame/unwind-table.ts";
import { findSegment } from "../../elf/elf-file.ts";
import { resolveSymbol } from "../../elf/symbol-lookup.ts";
import { type LoadedImage, loadedImages } from "./loaded-image.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { readSigned } from "./registers.ts";
import { psabiRegisters, RemoteWords } from "./stack-scan.ts";
import { pauseBetweenLooks } from "./system-calls.ts";
import { caughtSignals, refuseSeize, settle, threadIds } from "./thread-stop.ts";
import { Tracee } from "./tracee.ts";

/** What the callee asks of the thread: `any` for one that takes no lock, `unlocked` for one that may allocate or ask the dynamic linker. */
export type CallNeeds = "any" | "unlocked";

/** Calls in which programs wait for the world; none is made while a lock of malloc, the linker or the unwinder is held. */
const waits: ReadonlySet<number> = new Set([
  7, 23, 34, 35, 43, 45, 47, 61, 65, 69, 70, 127, 128, 130, 208, 220, 230, 232, 247, 270, 271, 281, 288, 299, 333, 441,
]);
/** A read from a terminal or a pipe is a wait; the dynamic linker reads as well, but from its own code. */
const read = 0;
const futex = 202;
/** Waits on a futex that hold no mutex; in libc's table of symbols. */
const futexWaits = [
  "pthread_cond_wait",
  "pthread_cond_timedwait",
  "pthread_cond_clockwait",
  "pthread_join",
  "pthread_barrier_wait",
  "sem_wait",
  "sem_timedwait",
  "sem_clockwait",
];
/** Objects below whose frames locks may be held: the unwinder, and what programs load in place of libc's malloc. */
const lockingObjects = /^(libgcc_s|libunwind|libjemalloc|libtcmalloc|libmimalloc|libtbbmalloc|libasan|libtsan)/;
const libraryOfC = /^(libc\.so|libc-|libc\.musl|ld-musl|libpthread)/;
/** `__libc_start_main` and `start_thread` with what calls them. */
const framesOfStart = 3;
const maxFrames = 4096;

export class CallThreads {
  readonly #memory: ProcessMemory;
  readonly #images: readonly LoadedImage[];
  readonly #rows: UnwindSpace;
  readonly #linkers: readonly LoadedImage[];
  readonly #executable: LoadedImage | undefined;
  readonly #futexWaits: readonly { readonly start: number; readonly end: number }[];

  constructor(memory: ProcessMemory) {
    this.#memory = memory;
    this.#images = loadedImages(memory, memory.maps());
    this.#rows = new UnwindSpace(
      this.#images.flatMap((image) => {
        const table = image.unwindTable;
        return table === undefined ? [] : [{ start: image.start, end: image.end, bias: image.bias, table }];
      }),
    );
    this.#executable = this.#images.find(({ segments }) => findSegment(segments, "interpreter") !== undefined);
    this.#linkers = this.#images.filter(({ path }) => /^ld[-.]/.test(nameOf(path)) && !libraryOfC.test(nameOf(path)));
    this.#futexWaits = this.#images
      .filter(({ path }) => libraryOfC.test(nameOf(path)))
      .flatMap(({ dynamic, bias }) =>
        futexWaits.flatMap((name) => {
          const found = dynamic === undefined ? undefined : resolveSymbol([dynamic], { name, newest: true });
          if (found === undefined) return [];
          return [{ start: bias + found.symbol.value, end: bias + found.symbol.value + found.symbol.size }];
        }),
      );
  }

  /** Whether a thread in an event stop, its registers read, holds none of the locks. */
  holdsNoLock({ registers }: Tracee): boolean {
    const call = readSigned(registers, "originalRax");
    const { frames, ended } = this.#walk(registers);
    const places = frames.map((address) => this.#imageOf(address));
    if (places.some((image) => image !== undefined && this.#mayLock(image))) return false;
    if (waits.has(call) || call === read) return true;
    if (!ended) return false;
    if (call === futex)
      return frames.some((address) => this.#futexWaits.some(({ start, end }) => address >= start && address < end));
    // Its own code, called by nothing but the beginning of the program or thread; in a static program malloc is own code too.
    if (call >= 0 || this.#executable === undefined) return false;
    const inner = places.slice(0, Math.max(1, places.length - framesOfStart));
    return inner.every((image) => image !== undefined && !libraryOfC.test(nameOf(image.path)));
  }

  #mayLock(image: LoadedImage): boolean {
    return this.#linkers.includes(image) || lockingObjects.test(nameOf(image.path));
  }

  #imageOf(address: number): LoadedImage | undefined {
    return this.#images.find(({ start, end }) => address >= start && address < end);
  }

  #walk(registers: Buffer): { readonly frames: number[]; readonly ended: boolean } {
    const frame = innermostFrame(psabiRegisters(registers));
    const words = new RemoteWords(this.#memory.pid);
    const frames = [lookUpAddress(frame)];
    while (frames.length < maxFrames) {
      const result = unwindStep(frame, words, this.#rows);
      if (result !== "caller") return { frames, ended: result === "end" };
      frames.push(lookUpAddress(frame));
    }
    return { frames, ended: false };
  }
}

function nameOf(path: string): string {
  return path.split("/").at(-1) ?? "";
}

const stopPatienceNs = 1_000_000_000n;
const lastPatienceNs = 10_000_000_000n;
const firstDelayMs = 1;
const longestDelayMs = 100;

/**
 * Stops one suitable thread after another until `action` takes one (it refuses with `target/no-thread` or `target/seccomp` where that thread cannot); lets it go afterwards.
 *
 * Refuses with `target/no-thread` when there was none within `waitMs`.
 */
export async function withCallThread<T>(
  memory: ProcessMemory,
  needs: CallNeeds,
  waitMs: number,
  action: (tracee: Tracee) => T,
): Promise<T> {
  const { pid } = memory;
  const deadline = performance.now() + waitMs;
  const caught = caughtSignals(pid);
  let last: RefusalError | undefined;
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    const threads = needs === "any" ? undefined : new CallThreads(memory);
    for (const tid of threadIds(pid)) {
      const tracee = new Tracee(tid, caught);
      const errno = tracee.seize();
      if (errno !== undefined) refuseSeize(pid, tid, errno);
      try {
        if (!stopped(tracee) || !tracee.readRegisters()) continue;
        if (threads !== undefined && !threads.holdsNoLock(tracee)) continue;
        return action(tracee);
      } catch (error) {
        if (!(error instanceof RefusalError) || !isOfThread(error)) throw error;
        last = error;
      } finally {
        if (tracee.state === "stopped" && tracee.readRegisters()) settle(tracee);
        tracee.detach();
      }
    }
    if (performance.now() + delayMs > deadline) {
      if (last !== undefined) throw last;
      refuse(
        "target/no-thread",
        `No thread of process ${pid} was at a place for ${waitMs} ms from which a function can be called safely: each was inside the C library, the dynamic linker or the unwinder, or did not stop.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

function isOfThread({ refusals }: RefusalError): boolean {
  return refusals.every(({ code }) => code === "target/no-thread" || code === "target/seccomp");
}

/** A thread in the kernel that does not come out is waited for a long time, since nobody would let it go if it came out later. */
function stopped(tracee: Tracee): boolean {
  tracee.interrupt();
  const began = process.hrtime.bigint();
  for (let looks = 0; tracee.state === "running" && !tracee.poll(); looks++) {
    if (process.hrtime.bigint() - began > lastPatienceNs) return false;
    pauseBetweenLooks(looks);
  }
  return tracee.state === "stopped" && process.hrtime.bigint() - began < stopPatienceNs;
}

/**
 * Who calls whom in a linked binary, read from its machine code; no symbols are needed.
 *
 * Where functions begin and end is what .eh_frame says; a function without an entry there is not seen.
 * It answers what a fix cannot reach by exchanging code: functions that ran while the program started, and those that are left at its end only.
 */

import { FrameReader } from "../../elf/eh-frame/frame-entries.ts";
import { findSection } from "../../elf/elf-file.ts";
import { sectionContent } from "../../elf/section-contents.ts";
import { decode } from "../../x86/instructions.ts";
import type { BinaryImage } from "./binary-image.ts";
import { type FunctionFlow, functionFlow } from "./function-flow.ts";

interface Caller {
  readonly from: FunctionFlow;
  readonly inLoop: boolean;
}

/** Imports in which a program waits for work. */
const waiting = new Set(
  "poll ppoll __poll_chk select pselect epoll_wait epoll_pwait epoll_pwait2 accept accept4 pause sigsuspend sigwait sigwaitinfo sigtimedwait sleep usleep nanosleep clock_nanosleep pthread_cond_wait pthread_cond_timedwait sem_wait event_dispatch event_base_dispatch event_base_loop ev_run uv_run g_main_loop_run".split(
    " ",
  ),
);

/** Imports that do not come back to who called them. */
const final = new Set(
  "exit _exit _Exit quick_exit abort __assert_fail __assert_perror_fail __stack_chk_fail __chk_fail __fortify_fail err errx verr verrx longjmp _longjmp siglongjmp __longjmp_chk pthread_exit thrd_exit __cxa_throw __cxa_rethrow _Unwind_Resume _ZSt9terminatev".split(
    " ",
  ),
);

export class CallGraph {
  readonly #binary: BinaryImage;
  readonly #flows: readonly FunctionFlow[];
  readonly #callers = new Map<FunctionFlow, Caller[]>();
  readonly #importCallers = new Map<string, Caller[]>();
  readonly #named = new Map<number, FunctionFlow[]>();
  readonly #once: ReadonlySet<FunctionFlow>;
  readonly #threadRoutines = new Set<FunctionFlow>();
  readonly main: number | undefined;

  constructor(binary: BinaryImage) {
    this.#binary = binary;
    this.#flows = readFlows(binary);
    this.main = mainOf(binary);
    for (const flow of this.#flows) {
      for (const { target, inLoop } of flow.sites) {
        const called = this.#importAt(target);
        if (called !== undefined) append(this.#importCallers, called, { from: flow, inLoop });
        const to = this.#at(target);
        if (to !== undefined) append(this.#callers, to, { from: flow, inLoop });
      }
      for (const address of flow.named) append(this.#named, address, flow);
      for (const { routine, to } of flow.handedOver)
        if (/^(pthread_create|thrd_create)$/.test(this.#importAt(to) ?? "")) {
          const started = this.#at(routine);
          if (started !== undefined) this.#threadRoutines.add(started);
        }
    }
    this.#once = this.#findOnce();
  }

  /** Whether the function runs only while the program starts: it is called by what runs once, and from no loop. */
  runsOnce(address: number): boolean {
    const flow = this.#at(address);
    return flow !== undefined && this.#once.has(flow);
  }

  /** Why threads are inside the function as long as the process runs, as a clause; undefined where nothing says so. */
  staysForever(address: number): string | undefined {
    return this.#staying(this.#at(address), new Set());
  }

  /** Whether a function that is not called once, or a loop, calls the import, and neither it nor what it calls right away calls one of `unless`. */
  callsRepeatedly(name: string, unless: readonly string[]): boolean {
    const excused = new Set(unless.flatMap((other) => (this.#importCallers.get(other) ?? []).map(({ from }) => from)));
    return (this.#importCallers.get(name) ?? []).some(({ from, inLoop }) => {
      if (!inLoop && this.#once.has(from)) return false;
      const near = from.sites.flatMap(({ target }) => this.#at(target) ?? []);
      return ![from, ...near].some((flow) => excused.has(flow));
    });
  }

  callsAny(names: readonly string[]): boolean {
    return names.some((name) => this.#importCallers.has(name));
  }

  /** Whether the address is one of code. */
  isCode(address: number): boolean {
    return this.#at(address) !== undefined;
  }

  /** Whether functions name the address, and all of them run only while the program starts. */
  usedOnlyAtStart(address: number): boolean {
    const users = this.#named.get(address) ?? [];
    return users.length > 0 && users.every((flow) => this.#once.has(flow));
  }

  #staying(flow: FunctionFlow | undefined, seen: Set<FunctionFlow>): string | undefined {
    if (flow === undefined || seen.has(flow)) return undefined;
    seen.add(flow);
    const isThread = this.#threadRoutines.has(flow);
    if (!isThread && !this.#once.has(flow)) return undefined;
    const waits = flow.sites.find(({ target, inLoop }) => inLoop && this.#waits(target, new Set()));
    const how = isThread ? "threads begin in it, and " : "";
    if (waits !== undefined) return `${how}it waits for work in a loop`;
    if (flow.endless) return `${how}it has a loop without an end`;
    for (const { target } of flow.sites) {
      const called = this.#at(target);
      if (called === flow || !this.#once.has(called as FunctionFlow)) continue;
      const reason = this.#staying(called, seen);
      if (reason !== undefined) return "it calls the program's main loop";
    }
    return undefined;
  }

  /** Whether what is called there waits, itself or through what it calls. */
  #waits(target: number, seen: Set<FunctionFlow>): boolean {
    if (waiting.has(this.#importAt(target) ?? "")) return true;
    const flow = this.#at(target);
    if (flow === undefined || seen.has(flow)) return false;
    seen.add(flow);
    return flow.sites.some((site) => this.#waits(site.target, seen));
  }

  #importAt(target: number): string | undefined {
    return importAt(this.#binary, target);
  }

  /** The function that begins there. */
  #at(address: number): FunctionFlow | undefined {
    const flow = lastStart(this.#flows, address);
    return flow !== undefined && address >= flow.start && address < flow.end ? flow : undefined;
  }

  /** From what the system calls once, as long as something is called by nothing else. */
  #findOnce(): Set<FunctionFlow> {
    const constructors = constructorsOf(this.#binary);
    const roots = [this.#binary.elf.header.e_entry, this.main, ...constructors];
    const once = new Set(roots.flatMap((address) => (address ? (this.#at(Number(address)) ?? []) : [])));
    const pointedAt = new Set(
      [...this.#binary.slots.values()].flatMap((slot) => (slot.kind === "address" ? [slot.address] : [])),
    );
    if (this.#binary.type === "library") for (const { value } of this.#binary.exports.values()) pointedAt.add(value);
    for (let grew = true; grew; ) {
      grew = false;
      for (const [flow, callers] of this.#callers) {
        if (once.has(flow) || pointedAt.has(flow.start) || this.#named.has(flow.start)) continue;
        if (!callers.every(({ from, inLoop }) => once.has(from) && !inLoop)) continue;
        once.add(flow);
        grew = true;
      }
    }
    return once;
  }
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function importAt(binary: BinaryImage, target: number): string | undefined {
  const slot = binary.slots.get(target);
  return slot?.kind === "import" ? slot.symbol.name : binary.pltImport(target)?.name;
}

function readFlows(binary: BinaryImage): FunctionFlow[] {
  const section = findSection(binary.elf, ".eh_frame");
  if (section === undefined) return [];
  const reader = new FrameReader({ bytes: sectionContent(binary.elf, section), address: section.address });
  const ranges = [...reader.fdes()]
    .map(({ start, end }) => ({ start, end }))
    .sort((one, other) => one.start - other.start);
  const imported = (target: number): boolean => final.has(importAt(binary, target) ?? "");
  // The stubs of imports have unwind information too; they are no callers.
  const stubs = binary.elf.sections.filter(({ name }) => /^\.plt(\.|$)/.test(name));
  const flows = ranges.flatMap(({ start, end }) => {
    const bytes = end > start ? binary.bytesAt(start, end - start) : undefined;
    return bytes === undefined || stubs.some((one) => start >= one.address && start < one.address + one.size)
      ? []
      : [functionFlow(bytes, start, imported)];
  });
  // What follows a call of a function that ends the program, such as one that prints the usage, is no continuation either.
  const ending = new Set(flows.filter(({ returns }) => !returns).map(({ start }) => start));
  return flows.map((flow) => {
    if (!flow.sites.some(({ target }) => ending.has(target))) return flow;
    const bytes = binary.bytesAt(flow.start, flow.end - flow.start) as Uint8Array;
    return functionFlow(bytes, flow.start, (target) => imported(target) || ending.has(target));
  });
}

function lastStart(flows: readonly FunctionFlow[], address: number): FunctionFlow | undefined {
  let low = 0;
  let high = flows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((flows[middle] as FunctionFlow).start <= address) low = middle + 1;
    else high = middle;
  }
  return flows[low - 1];
}

/** The first argument of __libc_start_main, which the entry passes in rdi (psABI §3.4.1; crt1.o). */
function mainOf(binary: BinaryImage): number | undefined {
  if (binary.type !== "executable") return undefined;
  const entry = Number(binary.elf.header.e_entry);
  const bytes = binary.bytesAt(entry, 64);
  if (bytes === undefined) return undefined;
  let main: number | undefined;
  for (const { offset, length, flow, ripRelative } of decode(bytes, entry)) {
    if (flow.endsWith("call")) break;
    const start = Buffer.from(bytes).toString("hex", offset, offset + 3);
    if (start === "488d3d") main = ripRelative?.address;
    else if (start === "48c7c7" && length === 7) main = Buffer.from(bytes).readUInt32LE(offset + 3);
  }
  return main;
}

function constructorsOf(binary: BinaryImage): number[] {
  return [".preinit_array", ".init_array"].flatMap((name) => {
    const section = findSection(binary.elf, name);
    if (section === undefined) return [];
    return Array.from({ length: Math.floor(section.size / 8) }, (_, index) => {
      const slot = binary.slots.get(section.address + index * 8);
      if (slot?.kind === "address") return slot.address;
      const bytes = binary.bytesAt(section.address + index * 8, 8);
      return bytes === undefined ? 0 : Number(Buffer.from(bytes).readBigUInt64LE());
    }).filter((address) => address !== 0);
  });
}

/** A program that gdb holds still: what gdb says of its threads, and its memory through /proc. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Memory } from "../../../src/elf/eh-frame/memory.ts";
import { fileUnwindTable, imageUnwindTable } from "../../../src/elf/eh-frame/unwind-information.ts";
import { type UnwindModule, UnwindSpace } from "../../../src/elf/eh-frame/unwind-table.ts";
import { parseElf } from "../../../src/elf/elf-file.ts";
import { type Image, memoryImage } from "../../../src/elf/image.ts";

export interface SeenThread {
  readonly thread: number;
  /** By the psABI's numbers, the instruction pointer last; decimal digits of 64 bits. */
  readonly registers: readonly string[];
  readonly addresses: readonly number[];
}

type Lines = AsyncIterator<string>;

async function nextLine(lines: Lines, start: string): Promise<string> {
  for (;;) {
    const line = await lines.next();
    if (line.done === true) throw new Error(`the output ended before a line that begins with ${start}`);
    if (line.value.startsWith(start)) return line.value.slice(start.length);
  }
}

export class StoppedProcess {
  readonly pid: number;
  readonly seen: readonly SeenThread[];
  readonly #program: ChildProcessWithoutNullStreams;
  readonly #gdb: ChildProcessWithoutNullStreams;
  readonly #lines: Lines;
  readonly #memory: number;

  private constructor(
    program: ChildProcessWithoutNullStreams,
    gdb: ChildProcessWithoutNullStreams,
    lines: Lines,
    seen: readonly SeenThread[],
  ) {
    this.#program = program;
    this.#gdb = gdb;
    this.#lines = lines;
    this.seen = seen;
    this.pid = program.pid!;
    this.#memory = openSync(`/proc/${this.pid}/mem`, "r");
  }

  /** Starts the program, waits for its line "ready", and lets gdb stop it. */
  static async start(path: string): Promise<StoppedProcess> {
    const program = spawn(path, [], { stdio: ["pipe", "pipe", "pipe"] });
    await nextLine(createInterface({ input: program.stdout })[Symbol.asyncIterator](), "ready");
    const script = join(import.meta.dirname, "walk-threads.py");
    const gdb = spawn("gdb", ["--batch", "-nx", "-p", `${program.pid}`, "-x", script], {
      env: { ...process.env, DEBUGINFOD_URLS: "" },
    });
    gdb.stderr.resume();
    const lines = createInterface({ input: gdb.stdout })[Symbol.asyncIterator]();
    return new StoppedProcess(program, gdb, lines, JSON.parse(await nextLine(lines, "SEEN ")));
  }

  /** One instruction of the last thread. */
  async step(): Promise<SeenThread> {
    this.#gdb.stdin.write("step\n");
    const [thread] = JSON.parse(await nextLine(this.#lines, "SEEN ")) as SeenThread[];
    return thread!;
  }

  async end(): Promise<void> {
    closeSync(this.#memory);
    this.#program.kill("SIGKILL");
    this.#gdb.stdin.end("quit\n");
    if (this.#gdb.exitCode === null) await once(this.#gdb, "exit");
  }

  read(address: number, sizeBytes: number): Uint8Array {
    const bytes = Buffer.alloc(sizeBytes);
    let done = 0;
    while (done < sizeBytes) {
      const count = readSync(this.#memory, bytes, done, sizeBytes - done, address + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  readonly memory: Memory = {
    readWord: (address) => {
      if (!(address >= 0 && address < 2 ** 47)) return Number.NaN;
      let value: bigint;
      try {
        value = Buffer.from(this.read(address, 8)).readBigUInt64LE();
      } catch {
        // Not mapped: that is what NaN says.
        return Number.NaN;
      }
      return value < 2n ** 53n ? Number(value) : Number.NaN;
    },
  };

  /** The executable's unwind information from its file, and everybody else's from memory alone. */
  space(): UnwindSpace {
    const extents = new Map<string, { start: number; end: number }>();
    for (const line of readFileSync(`/proc/${this.pid}/maps`, "utf8").split("\n")) {
      const [, from = "", to = "", path = ""] =
        /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(\/.*|\[vdso\])$/.exec(line) ?? [];
      if (path === "") continue;
      const known = extents.get(path);
      const end = Number.parseInt(to, 16);
      extents.set(path, { start: known?.start ?? Number.parseInt(from, 16), end });
    }
    const modules = [...extents].map(([path, extent]): UnwindModule => this.#module(path, extent));
    return new UnwindSpace(modules);
  }

  /** An object in memory, its extent taken from the maps. */
  image(path: string): Image {
    const lines = readFileSync(`/proc/${this.pid}/maps`, "utf8").split("\n");
    const ranges = lines
      .filter((line) => line.endsWith(path))
      .map((line) => /^([0-9a-f]+)-([0-9a-f]+)/.exec(line) ?? []);
    const start = Number.parseInt(ranges.at(0)?.[1] ?? "", 16);
    const end = Number.parseInt(ranges.at(-1)?.[2] ?? "", 16);
    return memoryImage(this.read(start, end - start), start);
  }

  #module(path: string, { start, end }: { start: number; end: number }): UnwindModule {
    const image = memoryImage(this.read(start, end - start), start);
    const own = path === this.#program.spawnfile;
    const table = own ? fileUnwindTable(parseElf(readFileSync(path))) : imageUnwindTable(image);
    if (table === undefined) throw new Error(`${path} has no unwind information`);
    return { start, end, bias: image.loadBias, table };
  }
}

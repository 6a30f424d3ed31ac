/** A stock program that runs: asked over its standard input, and read from outside to compare its code with the file's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, readSync, realpathSync } from "node:fs";
import type { StockCase } from "./cases.ts";

const answerTimeoutMs = 30_000;

export interface StockProcess {
  readonly pid: number;
  ask(): Promise<string>;
  /** Whether every executable byte of the binary in memory is the file's. */
  codeIsFiles(): boolean;
  stop(): Promise<void>;
}

export function startStock(one: StockCase, folder: string): StockProcess {
  const [program = "", ...parameters] = one.argv;
  // A PATH of the caller's may name folders that this user cannot enter, of which programs tell.
  const env = { ...process.env, PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" };
  const child = spawn(program, parameters, { cwd: folder, env, stdio: "pipe" });
  let text = "";
  let look: () => void = () => {};
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      look();
    });
  child.stdin.on("error", () => {
    // A program that has ended does not read; its end is told by the answer that does not come.
  });
  const pid = child.pid as number;
  return {
    pid,
    ask: () =>
      new Promise((done, fail) => {
        const from = text.length;
        const timer = setTimeout(
          () => fail(new Error(`${program} did not answer: ${text.slice(from, from + 300)}`)),
          answerTimeoutMs,
        );
        look = () => {
          const match = new RegExp(one.reply, "m").exec(text.slice(from));
          if (match === null) return;
          clearTimeout(timer);
          look = () => {};
          done(match[1] ?? match[0]);
        };
        child.stdin.write(one.ask);
      }),
    codeIsFiles: () => sameCode(pid, realpathSync(one.binary)),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** Code has no relocations, so that its pages are those of the file (proc(5), maps). */
function sameCode(pid: number, path: string): boolean {
  const file = readFileSync(path);
  const lines = readFileSync(`/proc/${pid}/maps`, "utf8").split("\n");
  const parts = lines.flatMap((line) => {
    const [, start = "", end = "", offset = "", mapped = ""] =
      /^([0-9a-f]+)-([0-9a-f]+) r-xp ([0-9a-f]+) \S+ \d+ +(.*)$/.exec(line) ?? [];
    return mapped === path
      ? [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), offset: Number.parseInt(offset, 16) }]
      : [];
  });
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    return (
      parts.length > 0 &&
      parts.every(({ start, end, offset }) => {
        const bytes = Buffer.alloc(Math.min(end - start, file.length - offset));
        readSync(memory, bytes, 0, bytes.length, start);
        return bytes.equals(file.subarray(offset, offset + bytes.length));
      })
    );
  } finally {
    closeSync(memory);
  }
}

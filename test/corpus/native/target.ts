/** A process with a hole: started in the folder of its artifacts, asked over its standard input or a TCP port. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { NativeCase } from "./cases.ts";
import { respValues } from "./resp.ts";

export interface Target {
  readonly pid: number;
  /** What it says to the harmless request, or to the one that uses the hole; `CRASH <signal>` where it died. */
  ask(what: "benign" | "probe"): Promise<string>;
  readonly alive: boolean;
  stop(): Promise<void>;
}

const defaultTimeoutMs = 30_000;

export async function startTarget(one: NativeCase, folder: string): Promise<Target> {
  const port = one.target.transport === "tcp" ? await freePort() : 0;
  const argv = one.target.argv.map((word) => word.replace("@PORT@", String(port)));
  const env = { ...process.env, ...one.target.env };
  const [command = "", ...words] = alone(argv);
  const child = spawn(command, words, { cwd: folder, env, stdio: ["pipe", "pipe", "pipe"] });
  const output = new Output(child);
  const timeoutMs = (one.timeoutS ?? 0) * 1000 || defaultTimeoutMs;
  const ended = new Promise<string>((done) =>
    child.once("exit", (code, signal) => done(signal === null ? `EXIT ${code}` : `CRASH ${signal}`)),
  );
  if (one.target.ready !== undefined) await output.waitFor(new RegExp(one.target.ready, "m"), timeoutMs);
  else if (port !== 0) await untilListening(port, timeoutMs);
  return {
    pid: child.pid as number,
    get alive() {
      return child.exitCode === null && child.signalCode === null;
    },
    async ask(what) {
      const bytes = request(one, what);
      if (port !== 0) return await Promise.race([askTcp(port, bytes, one, timeoutMs), ended.then(async (how) => how)]);
      const seen = output.text.length;
      child.stdin?.write(bytes);
      const line = output.waitFor(new RegExp(one.reply, "m"), timeoutMs, seen);
      const how = ended.then((text) => `${text} ${output.errors.trim().split("\n").at(-1) ?? ""}`.trim());
      return await Promise.race([line, how]);
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** With shared memory of its own, where we may: what targets before it left behind there is not its business. */
function alone(argv: readonly string[]): readonly string[] {
  if (process.getuid?.() !== 0) return argv;
  return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh", ...argv];
}

function request(one: NativeCase, what: "benign" | "probe"): Buffer {
  const coded = what === "benign" ? one.benignBase64 : one.probeBase64;
  if (coded !== undefined) return Buffer.from(coded, "base64");
  return Buffer.from((what === "benign" ? one.benign : one.probe) ?? "", "latin1");
}

class Output {
  text = "";
  errors = "";
  readonly #waiting = new Set<() => void>();

  constructor(child: ChildProcess) {
    child.stdout?.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("latin1");
      for (const look of this.#waiting) look();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.errors = (this.errors + chunk.toString("latin1")).slice(-4000);
    });
    child.stdin?.on("error", () => {
      // A target that died does not read; its end is what is told.
    });
  }

  /** The first group of the match, or all of it, in what comes after `from`. */
  waitFor(pattern: RegExp, timeoutMs: number, from = 0): Promise<string> {
    return new Promise((done, fail) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        fail(
          new Error(
            `the target did not answer within ${timeoutMs} ms: ${this.text.slice(from, from + 200)}${this.errors.slice(-200)}`,
          ),
        );
      }, timeoutMs);
      const look = (): void => {
        const complete = this.text.slice(from, this.text.lastIndexOf("\n") + 1);
        // Nothing has been said yet, which patterns such as ^(.*)$ would take for an answer.
        const match = complete === "" ? null : pattern.exec(complete);
        if (match === null) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        done(match[1] ?? match[0]);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

function tryConnect(port: number): Promise<Socket | undefined> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => done(socket));
    socket.once("error", () => done(undefined));
  });
}

async function untilListening(port: number, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (Date.now() < end) {
    const socket = await tryConnect(port);
    if (socket !== undefined) {
      socket.destroy();
      return;
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** What a case says instead of a pattern where the reply to its last request counts. */
const lastReply = "last RESP reply";

/** Sends the bytes and reads until all requests have their replies, or nothing more comes. */
async function askTcp(port: number, bytes: Buffer, { reply }: NativeCase, timeoutMs: number): Promise<string> {
  const socket = await tryConnect(port);
  if (socket === undefined) throw new Error(`nothing listens on port ${port}`);
  const requests = reply === lastReply ? respValues(bytes.toString("latin1")).length : undefined;
  return await new Promise((done) => {
    let text = "";
    let quiet: NodeJS.Timeout | undefined;
    const finish = (): void => {
      clearTimeout(quiet);
      socket.destroy();
      if (requests !== undefined) return done(respValues(text)[requests - 1] ?? text.trim());
      const last = [...text.matchAll(new RegExp(reply, "gm"))].at(-1);
      done(last === undefined ? text.trim() : (last[1] ?? last[0]));
    };
    quiet = setTimeout(finish, timeoutMs);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (requests !== undefined && respValues(text).length >= requests) return finish();
      // The last reply counts: once nothing has come for a while, it is there.
      clearTimeout(quiet);
      quiet = setTimeout(finish, 300);
    });
    socket.once("close", finish);
    socket.once("error", finish);
    socket.write(bytes);
  });
}

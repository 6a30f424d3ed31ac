/**
 * The backup hook: a program of the administrator that has to succeed before a hotpatch changes anything on this machine.
 *
 * `STATE/hooks/backup` is run for each action, and again where the agent died meanwhile, so it has to bear being run twice.
 * It comes from the machine alone: a server that is taken over can make no machine run anything.
 * Invariant: a hook that somebody else than the agent's user or root could have written is not run, and nothing is changed then.
 */
import { spawn } from "node:child_process";
import { lstat } from "node:fs/promises";
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { printable, quoted } from "../base/printable.ts";
import { refuse } from "../base/refusal.ts";
import { errnoOf } from "../base/stored-file.ts";

/** Longer backups are begun by the hook and waited for by nobody; this is for snapshots. */
const hookMs = 10 * 60 * 1000;
const saidCharacters = 500;

export interface HookOptions {
  /** The folder of hooks. */
  readonly folder: string;
  readonly hotpatchId: string;
  readonly actionId: string;
  readonly timeoutMs?: number;
}

function hookFile(folder: string): string {
  return path.join(folder, "backup");
}

/** Whether there is something to run, sound or not. */
export async function hasBackupHook(folder: string): Promise<boolean> {
  return (await statOf(hookFile(folder))) !== undefined;
}

/**
 * Runs it where there is one. What it prints goes into the reason where it fails, and nowhere else.
 * Refuses with `backup/hook-unsafe`, `backup/failed` or `backup/timeout`.
 */
export async function runBackupHook(options: HookOptions): Promise<void> {
  const file = hookFile(options.folder);
  if ((await statOf(file)) === undefined) return;
  for (const one of [options.folder, file]) await requireSound(one, one === file);
  const { code, signal, said, isLate } = await run(file, options);
  const more = said === "" ? "" : ` It said: ${printable(said)}`;
  if (isLate) refuse("backup/timeout", `The backup hook ${quoted(file)} did not end in time, and was ended.${more}`);
  if (code === 0) return;
  const how = code === null ? `was ended by ${signal}` : `ended with ${code}`;
  refuse("backup/failed", `The backup hook ${quoted(file)} ${how}; nothing was changed.${more}`);
}

async function statOf(file: string) {
  try {
    return await lstat(file);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw new RebootlessError("input/file-unreadable", `${quoted(file)} cannot be looked at.`, { cause: error });
  }
}

async function requireSound(file: string, isProgram: boolean): Promise<void> {
  const found = await statOf(file);
  const wrong =
    found === undefined || (isProgram ? !found.isFile() : !found.isDirectory())
      ? "is no regular file of its own"
      : found.uid !== 0 && found.uid !== process.geteuid?.()
        ? `belongs to the user ${found.uid}`
        : (found.mode & 0o022) !== 0
          ? "can be written by others"
          : isProgram && (found.mode & 0o100) === 0
            ? "cannot be executed"
            : undefined;
  if (wrong === undefined) return;
  refuse("backup/hook-unsafe", `${quoted(file)} ${wrong}, so it is not run; make it a file of root's with mode 0755.`);
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly said: string;
  readonly isLate: boolean;
}

/** In a process group of its own, all of which ends with it where it is late. */
function run(file: string, { folder, hotpatchId, actionId, timeoutMs = hookMs }: HookOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      REBOOTLESS_HOTPATCH: hotpatchId,
      REBOOTLESS_ACTION: actionId,
    };
    const child = spawn(file, [], { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    let isLate = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        said = `${said}${text}`.slice(-saidCharacters);
      });
    }
    const timer = setTimeout(() => {
      isLate = true;
      end(child.pid);
      // Something that it left behind may hold the pipes.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
    }, timeoutMs);
    child.once("error", (error) => {
      clearTimeout(timer);
      const message = `The backup hook ${quoted(file)} cannot be started (${errnoOf(error) ?? error.message}).`;
      reject(new RebootlessError("failure/backup-hook", message, { cause: error }));
    });
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      // What it left running in the background must not keep us.
      setImmediate(() => {
        for (const stream of [child.stdout, child.stderr]) stream.destroy();
        resolve({ code, signal, said: said.trim(), isLate });
      });
    });
  });
}

function end(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

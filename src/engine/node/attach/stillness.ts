/**
 * Why does a process not answer a signal that it catches? Told from where its threads wait.
 */
import { readProcFolder, readProcLink, readProcText } from "../../../process/proc-file.ts";
import { readStat } from "../../../process/process.ts";

/** `waiting`: in the event loop itself, with nothing to do. `blocked`: in a computation, in a synchronous call, or not to be told. */
export type LoopState = "waiting" | "blocked";

/**
 * Looks once at the main thread.
 * A process in `execSync` waits in an epoll of its own, so that the main loop's is left unattended beside the one of the signal thread, which always is.
 */
export function observeLoop(pid: number): LoopState {
  if (readStat(pid)?.state !== "S") return "blocked";
  const main = epollOf(pid, String(pid));
  if (main === undefined) return "blocked";
  const threads = readProcFolder(`/proc/${pid}/task`);
  const descriptors = readProcFolder(`/proc/${pid}/fd`);
  if (typeof threads === "string" || typeof descriptors === "string") return "blocked";
  const attended = new Set(threads.map((thread) => epollOf(pid, thread)));
  const unattended = descriptors.filter(
    (name) => readProcLink(`/proc/${pid}/fd/${name}`) === "anon_inode:[eventpoll]" && !attended.has(Number(name)),
  );
  return unattended.length > 1 ? "blocked" : "waiting";
}

/** The descriptor that the thread waits on, if it waits in an epoll; /proc/PID/task/TID/syscall holds the call's arguments. */
function epollOf(pid: number, thread: string): number | undefined {
  const place = readProcText(`/proc/${pid}/task/${thread}/wchan`, 256) ?? "";
  if (!/e(p_)?poll/.test(place)) return undefined;
  const argument = (readProcText(`/proc/${pid}/task/${thread}/syscall`, 1024) ?? "").split(" ")[1];
  return argument === undefined ? undefined : Number(argument);
}

/**
 * A lock among processes of one machine: a file that names its owner, so that a lock whose owner died is recognised.
 *
 * Invariant: the file appears with its whole content in one step (link(2) or rename(2)), so a reader never sees half of it.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 200;
let uses = 0;

/** Clock ticks since boot at which a process started, or undefined where there is none: tells it from a later one of the same id. */
function startTicks(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    // No such process.
    return undefined;
  }
}

function readOwner(path) {
  try {
    const owner = JSON.parse(readFileSync(path, "utf8"));
    return { pid: owner.pid, startTicks: owner.startTicks };
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    // Not written by us: nobody alive can own it.
    if (error instanceof SyntaxError || error instanceof TypeError) return { pid: 0, startTicks: "none" };
    throw error;
  }
}

function alive(owner) {
  return startTicks(owner.pid) === owner.startTicks;
}

function linked(from, to) {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Replaces the lock of a dead owner by ours; false when somebody else was quicker.
 *
 * Of all who saw the dead owner one alone may create the takeover file, and it looks again afterwards: so nobody can replace a lock that has become alive in between.
 */
function takeOver(path, mine) {
  const takeover = `${path}.takeover`;
  if (!linked(mine, takeover)) {
    const other = readOwner(takeover);
    if (other !== undefined && !alive(other)) rmSync(takeover, { force: true });
    return false;
  }
  try {
    const owner = readOwner(path);
    if (owner === undefined || alive(owner)) return false;
    renameSync(mine, path);
    return true;
  } finally {
    rmSync(takeover, { force: true });
  }
}

/**
 * Runs `work` while holding the lock at `path`, and answers with its result.
 *
 * `onWait(pid)` is called once if another process holds it.
 */
export async function withLockFile(path, { onWait }, work) {
  mkdirSync(dirname(path), { recursive: true });
  uses += 1;
  const mine = `${path}.${process.pid}-${uses}`;
  let told = false;
  for (;;) {
    writeFileSync(mine, JSON.stringify({ pid: process.pid, startTicks: startTicks(process.pid) }));
    if (linked(mine, path)) {
      unlinkSync(mine);
      break;
    }
    const owner = readOwner(path);
    if (owner !== undefined && !alive(owner) && takeOver(path, mine)) break;
    unlinkSync(mine);
    if (owner !== undefined && alive(owner)) {
      if (!told) onWait(owner.pid);
      told = true;
      await delay(pollMs);
    }
  }
  try {
    return await work();
  } finally {
    unlinkSync(path);
  }
}

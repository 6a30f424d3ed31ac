/**
 * Finding the agent's socket of a process from outside, and reaching it through the process's own root folder.
 *
 * The socket is found by its owner: only one whose listening inode belongs to the process counts, wherever its file lies.
 * Each part of the path is opened without following links, so a hostile container cannot lead a privileged client to a socket of the host.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import type { ProcessInfo } from "../../../process/process.ts";
import { unixListeners } from "../../../process/sockets.ts";

const socketPath = /^((?:\/[\w.-]+)*)\/(\.rebootless-\d+(?:-\w+)?)\/(agent-\d+-[0-9a-f]{16}\.sock)$/;

export interface AgentSocket {
  /** Short, whatever the depth of the real path: a socket address holds 108 bytes. Valid until `release`. */
  readonly path: string;
  release(): void;
}

/** The agent's socket of the process, or `undefined` when it has none that can be reached and trusted. */
export function openAgentSocket(target: ProcessInfo): AgentSocket | undefined {
  for (const listener of unixListeners(target.pid)) {
    const match = socketPath.exec(listener.path);
    if (match === null) continue;
    const descriptor = openFolder(target, [
      ...(match[1] as string).split("/").filter((part) => part !== ""),
      match[2] as string,
    ]);
    if (descriptor === undefined) continue;
    const path = `/proc/self/fd/${descriptor}/${match[3]}`;
    if (isOwnSocket(path, target)) return { path, release: () => closeSync(descriptor) };
    closeSync(descriptor);
  }
  return undefined;
}

/** Opens a folder below the root of the process, part by part; the last must belong to the process's user alone. */
function openFolder(target: ProcessInfo, parts: readonly string[]): number | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(`/proc/${target.pid}/root`, constants.O_RDONLY | constants.O_DIRECTORY);
    for (const part of parts) {
      // A folder that may be passed but not listed still opens with O_PATH, which Node does not name (open(2)).
      const next = openSync(
        `/proc/self/fd/${descriptor}/${part}`,
        constants.O_DIRECTORY | constants.O_NOFOLLOW | pathOnly,
      );
      closeSync(descriptor);
      descriptor = next;
    }
    const stats = fstatSync(descriptor);
    if (isOwner(stats.uid, target) && (stats.mode & 0o077) === 0) return descriptor;
  } catch {
    // Not there, not ours to open, or a link: all mean that this socket is not to be used.
  }
  if (descriptor !== undefined) closeSync(descriptor);
  return undefined;
}

const pathOnly = 0o10000000;

function isOwnSocket(path: string, target: ProcessInfo): boolean {
  try {
    const stats = lstatSync(path);
    return stats.isSocket() && isOwner(stats.uid, target);
  } catch {
    // The file was swept away; the process has to make it anew.
    return false;
  }
}

/** A process that gave up root after its start may have made the socket before. */
function isOwner(uid: number, target: ProcessInfo): boolean {
  return uid === target.uid.effective || uid === target.uid.real || uid === 0;
}

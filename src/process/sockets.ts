/**
 * Which process listens where: the socket tables of a network namespace joined with the descriptors of its processes by inode.
 */
import { readProcFolder, readProcLink, readProcText } from "./proc-file.ts";
import { parseTcpListeners, parseUnixListeners, type TcpListener, type UnixListener } from "./proc-format.ts";
import { listPids, readStat } from "./process.ts";

/** About 400,000 connections; a listener beyond that is not seen. */
const tableBytes = 64 * 1024 * 1024;
const descriptorsMax = 1024 * 1024;

/** The inodes of all sockets that the process has open; empty when it is gone or not ours to see. */
export function socketInodes(pid: number): Set<string> {
  const inodes = new Set<string>();
  const names = readProcFolder(`/proc/${pid}/fd`);
  if (typeof names === "string") return inodes;
  for (const name of names.slice(0, descriptorsMax)) {
    const match = /^socket:\[(\d+)\]$/.exec(readProcLink(`/proc/${pid}/fd/${name}`) ?? "");
    if (match !== null) inodes.add(match[1] as string);
  }
  return inodes;
}

/** Every listening TCP socket in the network namespace of the process, whoever owns it. */
export function namespaceTcpListeners(pid: number): TcpListener[] {
  return ["tcp", "tcp6"].flatMap((table) =>
    parseTcpListeners(readProcText(`/proc/${pid}/net/${table}`, tableBytes) ?? ""),
  );
}

/** The listening TCP sockets of the process itself. */
export function tcpListeners(pid: number): TcpListener[] {
  const listeners = namespaceTcpListeners(pid);
  if (listeners.length === 0) return listeners;
  const own = socketInodes(pid);
  return listeners.filter((listener) => own.has(listener.inode));
}

/** The listening unix sockets of the process itself. */
export function unixListeners(pid: number): UnixListener[] {
  const own = socketInodes(pid);
  if (own.size === 0) return [];
  return parseUnixListeners(readProcText(`/proc/${pid}/net/unix`, tableBytes) ?? "").filter((listener) =>
    own.has(listener.inode),
  );
}

/** The process that has the socket open, as far as this user can see; several may share it, the first is named. */
export function findSocketOwner(inode: string): { readonly pid: number; readonly comm: string } | undefined {
  for (const pid of listPids()) {
    if (!socketInodes(pid).has(inode)) continue;
    return { pid, comm: readStat(pid)?.comm ?? "?" };
  }
  return undefined;
}

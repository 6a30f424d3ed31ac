/**
 * One attach at a time in a network namespace: every Node.js process opens its inspector at the same port.
 *
 * The lock is a listening socket with an abstract name.
 * The kernel keeps such names per network namespace, shares them among users, and frees them when their process ends, so the lock can neither be left behind nor miss a neighbour.
 */
import { createServer, type Server } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { refuse } from "../../../base/refusal.ts";
import { readProcText } from "../../../process/proc-file.ts";
import { parseUnixListeners } from "../../../process/proc-format.ts";
import { findSocketOwner } from "../../../process/sockets.ts";

const lockName = "rebootless.inspector";
const retryMs = 20;

/** Takes the lock and gives the function that lets it go. */
export async function lockInspectorPort(timeoutMs: number): Promise<() => void> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const server = await tryListen();
    if (server !== undefined) return () => void server.close();
    if (performance.now() > until) refuseHeld(timeoutMs);
    await wait(retryMs);
  }
}

function tryListen(): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(`\0${lockName}`, () => resolve(server));
    server.unref();
  });
}

function refuseHeld(timeoutMs: number): never {
  const table = parseUnixListeners(readProcText("/proc/self/net/unix", 64 * 1024 * 1024) ?? "");
  const inode = table.find((listener) => listener.path === `@${lockName}`)?.inode;
  const owner = inode === undefined ? undefined : findSocketOwner(inode);
  const who = owner === undefined ? "A process that this user may not see" : `Process ${owner.pid} (${owner.comm})`;
  refuse(
    "target/port-taken",
    `${who} has been attaching to another process for more than ${timeoutMs} ms; try again when it has finished.`,
  );
}

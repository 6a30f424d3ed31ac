/**
 * The words of an attach, spoken once with a server of our own.
 *
 * The first request and the first WebSocket of a program load and compile their clients, which takes longer than all the rest of an attach; it must not happen while a stranger's debugging port is open.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { findInspector, openSession } from "./inspector-client.ts";

const id = "00000000-0000-4000-8000-000000000000";
/** RFC 6455, section 1.3. */
const handshakeSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const timeoutMs = 1000;
let isDone = false;

/** Does its work once in a program; whatever goes wrong costs time in the attach, and nothing else. */
export async function rehearseInspector(): Promise<void> {
  if (isDone) return;
  isDone = true;
  const server = createServer((_request, response) => response.end(JSON.stringify([{ id }])));
  server.on("upgrade", (request, socket) => {
    const key = `${request.headers["sec-websocket-key"]}${handshakeSuffix}`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.on("error", () => socket.destroy());
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    // The first frame ends it, as the evaluation does that closes an inspector.
    socket.once("data", () => socket.destroy());
  });
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const url = await findInspector({ host: "127.0.0.1", port }, timeoutMs);
    const session = url === undefined ? undefined : await openSession(url, timeoutMs);
    void session?.evaluate("0");
    session?.close();
  } catch {
    // A namespace without loopback: the attach itself will tell.
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

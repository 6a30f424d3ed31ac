/** Checks for ws: handshakes with every kind of header, frames in both directions, and what is not a WebSocket at all. */
"use strict";
const { Duplex } = require("node:stream");
const { once } = require("node:events");
const { connect } = require("node:net");
const { calls, each, quick } = require("../checks.cjs");

const protocols = ["a", "a, b", " a ,b ", "a,b,c", ",", "a,,b", "", "a\t,\tb", "chat;x", "a , a", "ünï"];
const payloads = [
  "",
  "text",
  "ünïcödé 👍🏽",
  "x".repeat(126),
  "y".repeat(70_000),
  Buffer.from([0, 255, 128]),
  new Uint8Array([1, 2, 3]),
  new ArrayBuffer(4),
  Buffer.alloc(126, 1),
];
const key = "dGhlIHNhbXBsZSBub25jZQ==";
const frames = [
  "818400000000",
  "8184000000007465 7374",
  "0180",
  "c180",
  "8980",
  "8a80",
  "8880",
  "8882000000000 3e8",
  "888200000000 03ec",
  "8881000000 0000",
  "898000000000",
  "8182000000 00c328",
  "8184000000 00f0288cbc",
  "8183000000 00eda080",
  "81fe00040000 0000",
  "8385000000",
  "81ff800000000000000000000000",
  "0180000000008080000000 00",
];
const utf8 = [
  "",
  "41",
  "c3bc",
  "c080",
  "c3",
  "e282ac",
  "e08080",
  "eda080",
  "efbfbf",
  "f09f918d",
  "f4908080",
  "f8808080",
  "ff",
  "80",
  "41c3bc42",
  "f0808080",
  "e28241",
];

/** A socket that keeps what is written to it. */
function fakeSocket() {
  const written = [];
  const socket = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  socket.setTimeout = () => {};
  socket.setNoDelay = () => {};
  return { socket, text: () => Buffer.concat(written).toString("latin1") };
}

function upgrade(server, headers, more = {}) {
  const { socket, text } = fakeSocket();
  const request = {
    method: "GET",
    url: "/",
    headers: { upgrade: "websocket", "sec-websocket-key": key, "sec-websocket-version": "13", ...headers },
    ...more,
  };
  let protocol;
  server.handleUpgrade(request, socket, Buffer.alloc(0), (client) => {
    protocol = client.protocol;
  });
  return new Promise((resolve) => setImmediate(() => resolve([text(), protocol])));
}

/** What the server says to bytes that no client of ours would send. */
async function rawFrames(port, hex) {
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  const chunks = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await once(socket, "data");
  socket.end(Buffer.from(hex.replaceAll(" ", ""), "hex"));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

module.exports = {
  keep: async (WebSocket, require) => {
    const { Server } = WebSocket;
    const bare = new Server({ noServer: true });
    const choosing = new Server({ noServer: true, handleProtocols: (list) => (list.includes("b") ? "b" : list[0]) });
    const echo = new Server({ port: 0, host: "127.0.0.1", maxPayload: 100_000 });
    echo.on("connection", (client) => {
      client.on("message", (data) => client.send(data));
      client.on("error", (error) => {
        client.problem = error;
      });
    });
    await once(echo, "listening");
    echo._server.unref();
    const { Receiver, Sender } = WebSocket;
    return { WebSocket, Server, Receiver, Sender, bare, choosing, echo, validation: require("x-ws/lib/validation") };
  },
  checks: ({ WebSocket, Server, bare, choosing, echo, validation }) => {
    const port = echo.address().port;
    const roundTrip = async (payload, options = {}) => {
      const client = new WebSocket(`ws://127.0.0.1:${port}/`, options.protocols, options);
      await once(client, "open");
      client.send(payload);
      const [answer] = await once(client, "message");
      client.close(1000, "bye");
      const [code, reason] = await once(client, "close");
      return { answer, code, reason: String(reason), protocol: client.protocol, extensions: client.extensions };
    };
    const wrong = [
      { upgrade: "h2c" },
      { "sec-websocket-key": "short" },
      { "sec-websocket-version": "7" },
      { "sec-websocket-key": undefined },
      { "sec-websocket-extensions": "permessage-deflate; x=(" },
      { "sec-websocket-extensions": "permessage-deflate" },
    ];
    return [
      ...each("protocols", (protocol) => upgrade(bare, { "sec-websocket-protocol": protocol }), protocols),
      ...each("chosen protocols", (protocol) => upgrade(choosing, { "sec-websocket-protocol": protocol }), protocols),
      ...each(
        "protocols at a new server",
        (protocol) => upgrade(new Server({ noServer: true }), { "sec-websocket-protocol": protocol }),
        protocols,
      ),
      ...each("wrong handshakes", (headers) => upgrade(bare, headers), wrong),
      ...each("wrong requests", (more) => upgrade(bare, {}, more), [{ method: "POST" }, { url: "/other" }]),
      ...each("there and back", (payload) => roundTrip(payload), payloads),
      ...each(
        "there and back, compressed",
        (payload) => roundTrip(payload, { perMessageDeflate: { threshold: 0 } }),
        payloads.slice(0, 5),
      ),
      ...each("there and back with protocols", (list) => roundTrip("x", { protocols: list }), [
        ["a"],
        ["a", "b"],
        ["b c"],
      ]),
      ...each("raw frames", (hex) => rawFrames(port, hex), frames),
      ...each("valid UTF-8", (hex) => validation.isValidUTF8(Buffer.from(hex, "hex")), utf8),
      ...each(
        "valid status",
        (code) => validation.isValidStatusCode(code),
        [0, 999, 1000, 1004, 1005, 1011, 1015, 2999, 3000, 4999, 5000],
      ),
      ...calls(
        "new WebSocket",
        (url, list) => {
          const client = new WebSocket(url, list);
          client.on("error", () => {});
          client.terminate();
          return client.url;
        },
        [["nonsense"], ["http://127.0.0.1/"], ["ws://127.0.0.1:1/#x"], ["ws://127.0.0.1:1/", ["a"]]],
      ),
      ["constants", () => [WebSocket.CONNECTING, WebSocket.OPEN, WebSocket.CLOSING, WebSocket.CLOSED]],
      quick("a protocol header of many spaces", () =>
        upgrade(bare, { "sec-websocket-protocol": `a${" ".repeat(50_000)}b` }),
      ),
    ];
  },
};

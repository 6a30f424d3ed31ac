"use strict";
/**
 * The way to the agent inside a patched process: a unix socket that only the process's own user can reach.
 *
 * Requests are JSON lines `{id, method, params}`, answers `{id, result}` or `{id, error: {code, message, details}}`; they are carried out one at a time, in order, whichever connection they come from.
 * This code runs inside a stranger's application: it never keeps the process alive, never lets an exception out, and never uses a folder that somebody else could change.
 * It must run on Node 20 and later, and may be loaded where no `require` exists, so it asks only for built-in modules.
 */
const fs = require("node:fs");
const timers = require("node:timers");

const protocol = 1;
/** Where a second installation in the same process, and the preload, find the first. */
const channelKey = Symbol.for("rebootless.channel");
const lineBytesMax = 64 * 1024 * 1024;
const connectionsMax = 16;
const checkIntervalMs = 10_000;
const staleSocketsMax = 64;
const newline = 0x0a;
const socketNamePattern = /^agent-\d+-[0-9a-f]{16}\.sock$/;

/** Wraps a callback: an exception in it would end the application. */
function guarded(callback) {
  return (...values) => {
    try {
      return callback(...values);
    } catch {
      // There is nobody to tell inside the target; the client notices by its own time limits.
      return undefined;
    }
  };
}

/** A folder that belongs to this user alone; throws when `base` cannot hold one, gives `undefined` when a neighbour was there first. */
function privateFolder(base) {
  const uid = process.geteuid();
  const folder = `${base}/.rebootless-${uid}`;
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
    // The application's umask may have taken rights away from the owner himself.
    fs.chmodSync(folder, 0o700);
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const stats = fs.lstatSync(folder);
  if (!stats.isDirectory() || stats.uid !== uid || (stats.mode & 0o077) !== 0) return undefined;
  fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
  return folder;
}

/**
 * The folder for the socket.
 * Where the usual one is not ours, a fresh one with a random name is as good: the client finds the socket by its owner, not by its path.
 * Throws with the reason of every place that was tried.
 */
function prepareFolder(bases = ["/tmp", "/dev/shm", "/var/tmp"]) {
  const reasons = [];
  for (const base of bases) {
    try {
      return privateFolder(base) ?? fs.mkdtempSync(`${base}/.rebootless-${process.geteuid()}-`);
    } catch (error) {
      reasons.push(`${base}: ${error.message}`);
    }
  }
  throw new Error(`no folder can hold the agent's socket (${reasons.join("; ")})`);
}

/** Sockets of processes that were killed stay behind; one that refuses a connection has no listener anywhere, in no container. */
function removeStaleSockets(folder) {
  const net = require("node:net");
  const names = fs.readdirSync(folder).filter((name) => socketNamePattern.test(name));
  for (const name of names.slice(0, staleSocketsMax)) {
    const path = `${folder}/${name}`;
    const probe = net.connect({ path });
    probe.unref();
    probe.on(
      "error",
      guarded((error) => error.code === "ECONNREFUSED" && fs.unlinkSync(path)),
    );
    probe.on(
      "connect",
      guarded(() => probe.destroy()),
    );
  }
}

function describeError(error) {
  const known = error !== null && typeof error === "object";
  return {
    code: known && typeof error.code === "string" ? error.code : "agent/error",
    message: known ? String(error.message) : String(error),
    details: known ? error.details : undefined,
  };
}

/** One answer as a line; a result that JSON cannot hold becomes an error of its own. */
function formatAnswer(id, answer) {
  let text;
  try {
    text = JSON.stringify({ id, ...answer });
  } catch (error) {
    text = JSON.stringify({ id, error: { code: "agent/result-invalid", message: String(error.message) } });
  }
  if (text.length <= lineBytesMax) return `${text}\n`;
  return `${JSON.stringify({ id, error: { code: "agent/result-too-large", message: "The answer is too large." } })}\n`;
}

async function answerRequest(line, methods) {
  let id = null;
  try {
    const request = JSON.parse(line);
    id = request.id;
    const table = methods();
    const method = Object.hasOwn(table, request.method) ? table[request.method] : undefined;
    if (typeof method !== "function") {
      return formatAnswer(id, {
        error: { code: "agent/method-unknown", message: `The agent has no method ${request.method}.` },
      });
    }
    const result = await method(request.params);
    return formatAnswer(id, { result: result === undefined ? null : result });
  } catch (error) {
    return formatAnswer(id, { error: describeError(error) });
  }
}

/** Cuts what arrives into lines and hands each to `onLine`; a line beyond the limit ends the connection. */
function readLines(socket, onLine) {
  let chunks = [];
  let sizeBytes = 0;
  return (chunk) => {
    let rest = chunk;
    for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
      chunks.push(rest.subarray(0, end));
      const line = Buffer.concat(chunks).toString("utf8");
      chunks = [];
      sizeBytes = 0;
      rest = rest.subarray(end + 1);
      onLine(line);
    }
    chunks.push(rest);
    sizeBytes += rest.length;
    if (sizeBytes > lineBytesMax) socket.destroy();
  };
}

/**
 * Serves `methods` (name → function(params), plain or async; or a function that returns such an object) on `socketPath`.
 * Binds at once and throws when it cannot. The folder must be private already.
 */
function serve({ methods, socketPath }) {
  // Loaded here, in a turn of its own: the rest of this file runs while the debugging port is open.
  const net = require("node:net");
  const table = typeof methods === "function" ? methods : () => methods;
  const sockets = new Set();
  let queue = Promise.resolve();
  const server = net.createServer(
    guarded((socket) => {
      sockets.add(socket);
      socket.unref();
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
      const onLine = (line) => {
        const work = async () => {
          const answer = await answerRequest(line, table);
          if (!socket.destroyed) socket.write(answer);
        };
        queue = queue.then(work, work).catch(() => socket.destroy());
      };
      socket.on("data", guarded(readLines(socket, onLine)));
    }),
  );
  server.maxConnections = connectionsMax;
  let failure;
  server.on("error", (error) => {
    failure = error;
  });
  // Exclusive, or a cluster worker would ask its primary for the socket.
  server.listen({ path: socketPath, exclusive: true });
  server.unref();
  if (!server.listening) throw failure ?? new Error(`cannot listen on ${socketPath}`);
  fs.chmodSync(socketPath, 0o600);
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { socketPath, close };
}

/** Whether the socket can still be reached by its path; folders for temporary files are swept. */
function isReachable(path) {
  try {
    return fs.lstatSync(path).isSocket();
  } catch {
    return false;
  }
}

class Channel {
  #createMethods;
  #sourceId;
  #methods;
  #failure;
  #folder;
  #server;

  constructor({ createMethods, sourceId }) {
    this.#createMethods = createMethods;
    this.#sourceId = sourceId;
  }

  /** Finds the place for the socket; throws when there is none. Safe at any moment, even amid the application's own code. */
  prepare() {
    if (this.#server === undefined || !isReachable(this.#server.socketPath)) this.#folder = prepareFolder();
  }

  /** Starts to listen, in a turn of the event loop of its own; does nothing when the socket is there already. */
  start() {
    if (this.#server !== undefined && isReachable(this.#server.socketPath)) return;
    const folder = this.#folder ?? prepareFolder();
    this.#folder = undefined;
    const crypto = require("node:crypto");
    const socketPath = `${folder}/agent-${process.pid}-${crypto.randomBytes(8).toString("hex")}.sock`;
    const server = serve({ methods: () => this.#table(), socketPath });
    if (this.#server === undefined) this.#watch();
    else this.#server.close();
    this.#server = server;
    guarded(removeStaleSockets)(folder);
  }

  #watch() {
    process.on(
      "exit",
      guarded(() => this.#remove()),
    );
    const check = timers.setInterval(
      guarded(() => isReachable(this.#server.socketPath) || this.start()),
      checkIntervalMs,
    );
    check.unref();
  }

  #remove() {
    const path = this.#server.socketPath;
    fs.unlinkSync(path);
    const folder = path.slice(0, path.lastIndexOf("/"));
    // The usual folder is shared with other processes of this user; only a random one goes with its process.
    if (/\.rebootless-\d+-\w+$/.test(folder)) fs.rmdirSync(folder);
  }

  /** Made at the first request, so that a preload costs the start of the application as little as can be. */
  #table() {
    if (this.#methods !== undefined) return this.#methods;
    const table = Object.create(null);
    try {
      Object.assign(table, this.#createMethods());
    } catch (error) {
      this.#failure = describeError(error);
    }
    table["channel.hello"] = () => ({
      protocol,
      pid: process.pid,
      node: process.version,
      sourceId: this.#sourceId,
      failure: this.#failure,
    });
    this.#methods = table;
    return table;
  }
}

/**
 * The channel of this process, made at the first call and found again at every later one.
 * `createMethods` gives the operations; `sourceId` tells which source they came from.
 */
function install(options) {
  const existing = globalThis[channelKey];
  if (existing !== undefined) return existing;
  const channel = new Channel(options);
  Object.defineProperty(globalThis, channelKey, { value: channel });
  return channel;
}

module.exports = { serve, install, prepareFolder };

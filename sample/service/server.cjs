"use strict";
/**
 * The HTTP side of the settings service.
 *
 * `POST /settings` takes JSON5 and answers what it understood for the session; administrators get more.
 * `GET /status` shows that it is still the same process: its id, its start, how many requests it has served.
 */
const { createHash, randomBytes, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");
const { defaults, readSettings, SettingsError } = require("./settings.cjs");

const bodyBytesMax = 64 * 1024;

/** With no token nobody is an administrator. */
function createService({ administratorToken }) {
  const state = {
    startedAt: new Date().toISOString(),
    served: 0,
    connections: 0,
    /** Made anew in each process: whoever knows it has seen what only administrators see. */
    databasePassword: randomBytes(9).toString("base64url"),
    administratorToken,
  };
  const server = createServer((request, response) => {
    answer(request, state).then(
      ({ status, body }) => send(response, state, status, body),
      (error) => send(response, state, error instanceof SettingsError ? 400 : 500, { error: error.message }),
    );
  });
  // Far above any client's pauses, so that it is never the service that closes a connection.
  server.keepAliveTimeout = 600_000;
  server.on("connection", () => {
    state.connections += 1;
  });
  return server;
}

async function answer(request, state) {
  const route = `${request.method} ${request.url}`;
  if (route === "POST /settings") return { status: 200, body: understood(await bodyOf(request), request, state) };
  if (route === "GET /status") return { status: 200, body: statusOf(state) };
  return { status: 404, body: { error: `there is no ${route}; there are POST /settings and GET /status` } };
}

function understood(text, request, state) {
  const settings = readSettings(text, { fromAdministrator: isAdministrator(request, state) });
  const { theme, language, pageSize } = { ...defaults, ...settings };
  const body = { settings: { theme, language, pageSize }, servedBy: process.pid };
  if (settings.administrator) body.administration = { databasePassword: state.databasePassword };
  return body;
}

function isAdministrator(request, { administratorToken }) {
  if (administratorToken === undefined) return false;
  const digest = (text) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ""), digest(`Bearer ${administratorToken}`));
}

function statusOf({ startedAt, served, connections }) {
  return { pid: process.pid, startedAt, uptimeSeconds: process.uptime(), served, connections };
}

async function bodyOf(request) {
  const chunks = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    sizeBytes += chunk.length;
    if (sizeBytes > bodyBytesMax) throw new SettingsError(`settings have at most ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function send(response, state, status, body) {
  state.served += 1;
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

module.exports = { createService };

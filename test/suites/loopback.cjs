/**
 * HTTP on the loopback interface for suites: what is sent and answered, as values that are the same in each run.
 *
 * Ports and dates differ from run to run, so ports are told as PORT and dates left out.
 */
"use strict";
const http = require("node:http");
const { once } = require("node:events");

const unstable = new Set(["date", "keep-alive"]);

/** A server that does not keep the process alive; ends with the process. */
async function serve(handler, host = "127.0.0.1") {
  const server = http.createServer(handler);
  server.listen(0, host);
  await once(server, "listening");
  server.unref();
  return { server, port: server.address().port };
}

/** One request on a connection of its own; answers what came back. */
function ask(port, { method = "GET", path = "/", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      readAll(response).then(
        (text) => resolve(steady({ status: response.statusCode, headers: pairs(response.rawHeaders), text }, [port])),
        reject,
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("latin1");
}

function pairs(raw) {
  const found = [];
  for (let index = 0; index < raw.length; index += 2) {
    if (!unstable.has(raw[index].toLowerCase())) found.push(`${raw[index]}: ${raw[index + 1]}`);
  }
  return found;
}

/** Replaces ports in every text of a value made of plain objects, arrays and texts. */
function steady(value, ports) {
  if (typeof value === "string") return ports.reduce((text, port) => text.replaceAll(`:${port}`, ":PORT"), value);
  if (Array.isArray(value)) return value.map((member) => steady(member, ports));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, steady(member, ports)]));
}

module.exports = { serve, ask, readAll, pairs, steady };

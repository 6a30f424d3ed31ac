/** Checks for follow-redirects: what reaches the last of several servers, for each kind of redirect and header. */
"use strict";
const { calls } = require("../checks.cjs");
const { serve, readAll, pairs, steady } = require("../loopback.cjs");

const statuses = [200, 301, 302, 303, 307, 308, 304, 404];
const secrets = {
  authorization: "Basic x",
  "Proxy-Authorization": "secret",
  cookie: "a=b",
  "x-kept": "1",
  host: "given.example",
  "content-type": "text/plain",
};

const places = ["same", "other", "address"];
const targets = statuses.flatMap((status) => places.map((to) => [status, to]));
const single = [
  ["loop", { maxRedirects: 3 }],
  ["bad"],
  ["scheme"],
  ["//localhost:1/x"],
  ["other", { followRedirects: false }],
  ["other", { maxRedirects: 0 }],
  ["other", { trackRedirects: true }],
  ["other", { beforeRedirect: (options) => Object.assign(options.headers, { added: "yes" }) }],
  ["other", { beforeRedirect: () => JSON.parse("stop") }],
  ["other", { auth: "u:p" }],
];

async function servers() {
  const last = await serve((request, response) => {
    const { method, url, rawHeaders } = request;
    readAll(request).then((body) => response.end(JSON.stringify({ method, url, headers: pairs(rawHeaders), body })));
  });
  const other = `http://localhost:${last.port}/reached`;
  const address = `http://127.0.0.1:${last.port}/reached`;
  const first = await serve((request, response) => {
    request.resume();
    const { searchParams } = new URL(request.url, "http://x");
    const to = searchParams.get("to");
    const known = { same: "/?status=200", other, address, loop: request.url, bad: "http://", scheme: "ftp://x/" };
    response.writeHead(Number(searchParams.get("status")), { location: known[to] ?? to, "x-from": "first" });
    response.end(JSON.stringify({ method: request.method, headers: pairs(request.rawHeaders) }));
  });
  return [first.port, last.port];
}

/** Starts a request and answers everything that came of it. */
function answered(start, ports) {
  return new Promise((resolve) => {
    const settle = (value) => resolve(steady(value, ports));
    const redirects = [];
    const outgoing = start((response) => {
      const { statusCode, responseUrl, redirects: kept } = response;
      readAll(response).then((text) => settle({ statusCode, responseUrl, redirects, kept: kept.length, text }));
    });
    outgoing.on("redirect", (response, options) => {
      redirects.push([response.statusCode, options.method, options.headers]);
    });
    outgoing.on("error", (error) => settle({ error: `${error.name} ${error.code}: ${error.message}`, redirects }));
    outgoing.end();
  });
}

module.exports = {
  keep: async (library) => {
    const ports = await servers();
    const { http, wrap, maxRedirects } = library;
    const { get, request } = http;
    return { library, get, request, wrap, maxRedirects, ports };
  },
  checks: ({ library, get, request, wrap, maxRedirects, ports }) => {
    const [port] = ports;
    const base = { hostname: "127.0.0.1", port, agent: false, family: 4 };
    const path = (status, to) => `/?status=${status}&to=${encodeURIComponent(to)}`;
    const address = `127.0.0.1:${port}${path(302, "other")}`;
    const hidden = { headers: { "proxy-authorization": "s" } };
    const start = (work) => answered(work, ports);
    const got = (status, to, more) => start((done) => get({ ...base, path: path(status, to), ...more }, done));
    const posted = (status, to, more) =>
      start((done) => {
        const outgoing = request({ ...base, method: "POST", path: path(status, to), ...more }, done);
        outgoing.write("the body");
        return outgoing;
      });
    const wrapped = () => wrap({ http: require("node:http") }).http;
    const secretly = () => ({ headers: { ...secrets } });
    return [
      ...calls("get", got, targets),
      ...calls("get with secrets", (status, to) => got(status, to, secretly()), targets),
      ...Object.keys(secrets).flatMap((name) =>
        calls(`get with ${name}`, (to) => got(302, to, { headers: { [name]: "s" } }), places),
      ),
      ...calls("post", posted, targets),
      ...calls("post with secrets", (status, to) => posted(status, to, secretly()), targets),
      ...calls("get to", (to, more) => got(302, to, more), single),
      ["get by an address", () => start((done) => get(`http://${address}`, done))],
      ["get by an address with a password", () => start((done) => get(new URL(`http://u:p@${address}`), hidden, done))],
      [
        "wrapped anew",
        () => start((done) => wrapped().get({ ...base, path: path(302, "other"), ...secretly() }, done)),
      ],
      ["a body that is too large", () => posted(307, "other", { maxBodyLength: 3 })],
      ["the defaults", () => [maxRedirects, library.maxBodyLength, Object.keys(library)]],
    ];
  },
};

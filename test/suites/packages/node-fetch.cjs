/**
 * Checks for node-fetch 3, an ES module of several files: redirects with secrets, bodies, headers and requests.
 *
 * Redirects to what is no address are left out: they end the process of the vulnerable version.
 */
"use strict";
const { calls, each } = require("../checks.cjs");
const { serve, readAll, pairs, steady } = require("../loopback.cjs");

const secrets = { authorization: "Basic x", cookie: "a=b", cookie2: "c", "www-authenticate": "w", "x-kept": "1" };
const values = ["", "a", " a ", "a, b", "a\nb", "ü", 5, null, undefined];

const statuses = [301, 302, 303, 307, 308];
const targets = statuses.flatMap((status) => ["same", "other", "address"].map((to) => [status, to]));
const fetchOptions = [
  { follow: 0 },
  { follow: 1 },
  { size: 3 },
  { method: "HEAD" },
  { redirect: "nonsense" },
  { referrer: "http://x.y/z" },
  { compress: false },
  { data: "x" },
];
const addresses = ["data:text/plain,hello", "data:;base64,aGk=", "nonsense", "ftp://x", "http://127.0.0.1:1/", "/x"];
const listed = ["a", "A"].map((name, index) => [name, String(index)]);
const inits = [undefined, {}, { a: "b" }, listed, [["a"]], null, 5, "text", { "bad name": 1 }, new Map([["m", 1]])];
const requests = [
  ["http://a.b/c"],
  ["http://a.b/c", { method: "post", body: "x" }],
  ["http://a.b", { body: "x" }],
  ["http://a.b", { method: "HEAD", body: "x" }],
  ["nonsense"],
  ["http://a.b", { referrer: "about:client" }],
  ["http://a.b", { headers: { v: " w " } }],
];
const bodies = ['{"a":1}', "text", Buffer.from("b"), new URLSearchParams({ a: "b" }), null];

async function servers() {
  const last = await serve((request, response) => {
    const { method, url, rawHeaders } = request;
    readAll(request).then((body) => response.end(JSON.stringify({ method, url, headers: pairs(rawHeaders), body })));
  });
  const other = `http://localhost:${last.port}/reached`;
  const address = `http://127.0.0.1:${last.port}/reached`;
  const first = await serve((request, response) => {
    request.resume();
    const { searchParams, pathname } = new URL(request.url, "http://x");
    if (pathname === "/seen") return response.end(JSON.stringify(pairs(request.rawHeaders)));
    const to = searchParams.get("to");
    const known = { same: "/seen", other, address, loop: request.url, scheme: "ftp://x/" };
    const headers = to === null ? {} : { location: known[to] ?? to };
    response.writeHead(Number(searchParams.get("status")), { "content-type": "text/x; charset=utf-8", ...headers });
    response.end("from the first");
  });
  return [first.port, last.port];
}

function fetchChecks({ fetch, FetchError, ports }) {
  const told = async (answer) => {
    try {
      const response = await answer;
      const { status, ok, redirected, url, type, headers } = response;
      const text = await response.text();
      return steady({ status, ok, redirected, url, type, location: headers.get("location"), text }, ports);
    } catch (error) {
      return steady([error instanceof FetchError, error.name, error.type, error.code, error.message], ports);
    }
  };
  const got = (status, to, options) => {
    const query = to === undefined ? "" : `&to=${encodeURIComponent(to)}`;
    return told(fetch(`http://127.0.0.1:${ports[0]}/?status=${status}${query}`, options));
  };
  const secretly = (more) => (status, to) => got(status, to, { ...more, headers: { ...secrets } });
  const byHand = ["same", "other", "/relative", "%"];
  return [
    ...calls("fetch", got, [...targets, [200], [204], [304], [404], [500], [302]]),
    ...calls("fetch with secrets", secretly({}), targets),
    ...calls("post with secrets", secretly({ method: "POST", body: "the body" }), targets),
    ...calls("fetch by hand", (to) => got(302, to, { redirect: "manual" }), byHand),
    ...calls("fetch refusing redirects", (to) => got(302, to, { redirect: "error" }), ["same", "other"]),
    ...calls("fetch to", (to) => got(302, to), ["loop", "scheme", "?status=200", "http://127.0.0.1:1/"]),
    ...calls("fetch with options", (options) => got(302, "same", options), fetchOptions),
    ...calls("fetch of", (url) => told(fetch(url)), addresses),
  ];
}

function classChecks({ Headers, Request, Response, isRedirect, old }) {
  const headersOf = (work) => {
    const headers = new Headers({ first: "1" });
    return [work(headers), [...headers]];
  };
  const requested = (url, options) => {
    const made = new Request(url, options);
    return [made.url, made.method, made.redirect, made.referrer, [...made.headers]];
  };
  const read = async (body, how) => {
    const made = new Response(body);
    return [await made[how](), made.bodyUsed, made.headers.get("content-type")];
  };
  const blob = async () => {
    const made = await new Response("text", { headers: { "content-type": "a/b" } }).blob();
    return [made.size, made.type, await made.text()];
  };
  const keysOf = (object) => {
    const keys = [];
    for (const key in object) keys.push(key);
    return keys;
  };
  const posted = () => new Request("http://a.b", { method: "POST", body: "x" });
  const bodyReads = ["text", "json", "arrayBuffer"].flatMap((how) => bodies.map((body) => [body, how]));
  return [
    ...each("new Headers", (init) => [...new Headers(init)], inits),
    ...each("headers.set", (value) => headersOf((headers) => headers.set("a", value)), values),
    ...each("headers.append", (value) => headersOf((headers) => headers.append("first", value)), values),
    ...calls("new Request", requested, requests),
    ...calls("a body", read, bodyReads),
    ...each("isRedirect", (status) => isRedirect(status), [200, 300, ...statuses, 304, 309]),
    ["a request from a request", () => new Request(posted(), { method: "GET" }).method],
    ["a blob", blob],
    ["a response from before", async () => [old.status, [...old.headers], await old.clone().text()]],
    ["data of a response", () => new Response("x").data],
    ["the keys of a response", () => keysOf(new Response("x"))],
    ["Response.redirect", () => [...Response.redirect("http://a.b/", 301).headers]],
    ["Response.error", () => [Response.error().type, Response.error().status]],
  ];
}

module.exports = {
  keep: async (library) => {
    const ports = await servers();
    const { default: fetch, Headers, Request, Response, FetchError, isRedirect } = library;
    const old = new Response("kept", { headers: { a: "b" } });
    return { fetch, Headers, Request, Response, FetchError, isRedirect, old, ports };
  },
  checks: (kept) => [...fetchChecks(kept), ...classChecks(kept)],
};

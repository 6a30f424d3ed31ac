/** Checks for undici: Headers in every way, and requests over the loopback interface by the client, fetch and request. */
"use strict";
const { calls, each, quick } = require("../checks.cjs");
const { serve, readAll, pairs, steady } = require("../loopback.cjs");

const values = [
  "",
  "a",
  " a ",
  "\t a\tb \r\n",
  "\r\n\t ",
  "a\nb",
  "a\0b",
  "ü",
  "\u0100",
  "x".repeat(300),
  5,
  null,
  undefined,
  "a, b",
  "\va\v",
  "\u00a0a\u00a0",
  "  ",
  "\r",
  "end\r\n\r\n",
];
const names = ["a", "Content-Type", "x-ü", "", "a b", "a:b", "__proto__", "constructor", "set-cookie", "Host", "\n"];
const inits = [
  undefined,
  {},
  { a: "b" },
  [
    ["a", "b"],
    ["A", "c"],
  ],
  [["a"]],
  { a: " b " },
  new Map([["m", "1"]]),
  null,
  "text",
  5,
  [],
  { "set-cookie": "a" },
  [
    ["set-cookie", "a"],
    ["set-cookie", "b"],
  ],
  JSON.parse('{"__proto__":"x"}'),
  { a: undefined },
  { "bad name": "x" },
];
const hosts = [
  "example.com",
  "example.com\r\nx: y",
  "a b",
  "ü",
  "",
  "a\tb",
  "a\0b",
  "example.com:80",
  "\nx",
  "\u{1f44d}",
];

const clientRequests = [
  [{ method: "POST", body: "x" }],
  [{ method: "BAD METHOD" }],
  [{ path: "no slash" }],
  [{ path: "/a b" }],
  [{ query: { a: "b c" } }],
  [{ headers: 5 }],
  [{ headers: ["odd"] }],
  [{ method: "PUT", body: Buffer.from("b") }],
];
const listed = ["1", "2"].map((value) => ["a", value]);
const fetches = [
  ["/seen"],
  ["/redirect"],
  ["/redirect", { redirect: "manual" }],
  ["/redirect", { redirect: "error" }],
  ["/seen", { method: "POST", body: "text" }],
  ["/seen", { method: "POST", body: new URLSearchParams({ a: "b c" }) }],
  ["/seen", { headers: { a: " padded\t" } }],
  ["/seen", { headers: listed }],
  ["/seen", { headers: { "bad name": "x" } }],
  ["/seen", { method: "GET", body: "x" }],
];

function headerChecks({ Headers, Request, Response, FormData, old }) {
  const all = (headers) => [...headers];
  const changed = (work) => {
    const headers = new Headers({ first: "1" });
    return [work(headers), all(headers)];
  };
  const onOld = (value) => {
    old.set("tried", value);
    const said = [old.get("tried"), old.has("tried")];
    old.delete("tried");
    return [said, all(old)];
  };
  const named = (headers, name) => [headers.set(name, "v"), headers.get(name), headers.has(name), headers.delete(name)];
  const requested = (value) => all(new Request("http://a.b/c", { headers: { v: value } }).headers);
  const responded = (value) => all(new Response("body", { headers: { v: value }, status: 201 }).headers);
  const form = () => {
    const made = new FormData();
    made.append("a", "b");
    made.append("a", 5);
    made.set("c", "d");
    return [...made];
  };
  return [
    ...each("new Headers", (init) => all(new Headers(init)), inits),
    ...each("set", (value) => changed((headers) => headers.set("a", value)), values),
    ...each("append", (value) => changed((headers) => headers.append("first", value)), values),
    ...each("a name", (name) => changed((headers) => named(headers, name)), names),
    ...each("on old headers", onOld, values),
    ...each("new Request", requested, values),
    ...each("new Response", responded, values),
    ["form data", form],
    quick("a header of many tabs", () => new Headers().set("a", `a${"\t".repeat(60_000)}\ta`)),
  ];
}

function requestChecks({ fetch, request, Agent, port, client }) {
  const origin = `http://127.0.0.1:${port}`;
  const fetched = async (path, options) => {
    const dispatcher = new Agent({ pipelining: 0, keepAliveTimeout: 10 });
    const response = await fetch(`${origin}${path}`, { dispatcher, ...options });
    const { status, redirected, headers } = response;
    return steady([status, redirected, await response.text(), headers.get("x-padded")], [port]);
  };
  const asked = async (given) => {
    const { statusCode, headers, body } = await client.request({ path: "/seen", method: "GET", ...given });
    return steady([statusCode, headers["x-padded"], await body.text()], [port]);
  };
  const bare = async () => {
    const { body } = await request(`${origin}/seen`, { headers: { a: "b" } });
    return steady(await body.text(), [port]);
  };
  const given = values.filter((value) => value !== undefined);
  return [
    ...each("a host header", (host) => asked({ headers: { host } }), hosts),
    ...each("a host header in a list", (host) => asked({ headers: ["host", host, "x", "y"] }), hosts),
    ...each("another header", (value) => asked({ headers: { "x-value": value } }), given),
    ...calls("client.request", asked, clientRequests),
    ...calls("fetch", fetched, fetches),
    ["request", bare],
  ];
}

module.exports = {
  keep: async (library) => {
    const { Headers, Request, Response, fetch, request, Client, Agent, FormData } = library;
    const { port } = await serve((incoming, response) => {
      const { url, method, rawHeaders } = incoming;
      readAll(incoming).then((body) => {
        if (url === "/redirect") return response.writeHead(302, { location: "/seen" }).end();
        response.writeHead(200, { "x-padded": " p ", "set-cookie": ["a=1", "b=2"] });
        response.end(JSON.stringify({ url, method, headers: pairs(rawHeaders), body }));
      });
    });
    const old = new Headers({ kept: " before " });
    const client = new Client(`http://127.0.0.1:${port}`);
    return { Headers, Request, Response, fetch, request, Agent, FormData, port, old, client };
  },
  checks: (kept) => [...headerChecks(kept), ...requestChecks(kept)],
};

/** Checks for node-fetch 3, an ES module of several files: redirects with secrets, bodies, headers and requests. */
"use strict";
const { calls, each } = require("../checks.cjs");
const { serve, readAll, pairs, steady } = require("../loopback.cjs");

const secrets = { authorization: "Basic x", cookie: "a=b", cookie2: "c", "www-authenticate": "w", "x-kept": "1" };
const values = ["", "a", " a ", "a, b", "a\nb", "ü", 5, null, undefined];

module.exports = {
  keep: async (library) => {
    const last = await serve((request, response) => {
      readAll(request).then((body) =>
        response.end(
          JSON.stringify({ method: request.method, url: request.url, headers: pairs(request.rawHeaders), body }),
        ),
      );
    });
    const first = await serve((request, response) => {
      request.resume();
      const { searchParams, pathname } = new URL(request.url, "http://x");
      const to = searchParams.get("to");
      const location =
        {
          same: "/seen",
          other: `http://localhost:${last.port}/reached`,
          address: `http://127.0.0.1:${last.port}/reached`,
          loop: request.url,
          bad: "http://",
          scheme: "ftp://x/",
        }[to] ?? to;
      if (pathname === "/seen") return response.end(JSON.stringify(pairs(request.rawHeaders)));
      const headers = location === null ? {} : { location };
      response
        .writeHead(Number(searchParams.get("status") ?? 200), { "content-type": "text/x; charset=utf-8", ...headers })
        .end("from the first");
    });
    const { default: fetch, Headers, Request, Response, FetchError, isRedirect } = library;
    const old = new Response("kept", { headers: { a: "b" } });
    return { fetch, Headers, Request, Response, FetchError, isRedirect, old, ports: [first.port, last.port] };
  },
  checks: ({ fetch, Headers, Request, Response, FetchError, isRedirect, old, ports }) => {
    const [port] = ports;
    const told = async (answer) => {
      try {
        const response = await answer;
        const { status, ok, redirected, url, type } = response;
        return steady(
          {
            status,
            ok,
            redirected,
            url,
            type,
            location: response.headers.get("location"),
            text: await response.text(),
          },
          ports,
        );
      } catch (error) {
        return steady([error instanceof FetchError, error.name, error.type, error.code, error.message], ports);
      }
    };
    const got = (status, to, options) =>
      told(
        fetch(
          `http://127.0.0.1:${port}/?status=${status}${to === undefined ? "" : `&to=${encodeURIComponent(to)}`}`,
          options,
        ),
      );
    const statuses = [301, 302, 303, 307, 308];
    const targets = statuses.flatMap((status) => ["same", "other", "address"].map((to) => [status, to]));
    const headersOf = (work) => {
      const headers = new Headers({ first: "1" });
      const said = work(headers);
      return [said, [...headers]];
    };
    return [
      ...calls("fetch", got, [...targets, [200], [204], [304], [404], [500], [302]]),
      ...calls("fetch with secrets", (status, to) => got(status, to, { headers: { ...secrets } }), targets),
      ...calls(
        "post with secrets",
        (status, to) => got(status, to, { method: "POST", body: "the body", headers: { ...secrets } }),
        targets,
      ),
      ...calls("fetch by hand", (to) => got(302, to, { redirect: "manual" }), [
        "same",
        "other",
        "/relative",
        "bad",
        "%",
      ]),
      ...calls("fetch refusing redirects", (to) => got(302, to, { redirect: "error" }), ["same", "other", "bad"]),
      ...calls("fetch to", (to) => got(302, to), ["loop", "bad", "scheme", "//", "?x=1", "http://127.0.0.1:1/"]),
      ...calls("fetch with options", (options) => got(302, "same", options), [
        { follow: 0 },
        { follow: 1 },
        { size: 3 },
        { method: "HEAD" },
        { redirect: "nonsense" },
        { referrer: "http://x.y/z" },
        { compress: false },
        { data: "x" },
      ]),
      ...calls("fetch of", (url) => told(fetch(url)), [
        "data:text/plain,hello",
        "data:;base64,aGk=",
        "nonsense",
        "ftp://x",
        "http://u:p@127.0.0.1/",
        "http://127.0.0.1:1/",
        "/x",
      ]),
      ...each("new Headers", (init) => [...new Headers(init)], [
        undefined,
        {},
        { a: "b" },
        [
          ["a", "b"],
          ["A", "c"],
        ],
        [["a"]],
        null,
        5,
        "text",
        { "bad name": 1 },
        new Map([["m", 1]]),
      ]),
      ...each("headers.set", (value) => headersOf((headers) => headers.set("a", value)), values),
      ...each(
        "headers.append",
        (value) => headersOf((headers) => [headers.append("first", value), headers.get("FIRST"), headers.has("x")]),
        values,
      ),
      ...calls(
        "new Request",
        (url, options) => {
          const made = new Request(url, options);
          return [made.url, made.method, made.redirect, made.referrer, [...made.headers]];
        },
        [
          ["http://a.b/c"],
          ["http://a.b/c", { method: "post", body: "x" }],
          ["http://a.b", { body: "x" }],
          ["http://a.b", { method: "HEAD", body: "x" }],
          ["nonsense"],
          ["http://a.b", { referrer: "about:client" }],
          ["http://a.b", { headers: { v: " w " } }],
        ],
      ),
      [
        "a request from a request",
        () => new Request(new Request("http://a.b", { method: "POST", body: "x" }), { method: "GET" }).method,
      ],
      ...calls(
        "a body",
        async (body, how) => {
          const made = new Response(body);
          const value = await made[how]();
          return [value, made.bodyUsed, made.headers.get("content-type")];
        },
        ["text", "json", "arrayBuffer"].flatMap((how) => [
          ['{"a":1}', how],
          ["text", how],
          [Buffer.from("b"), how],
          [new URLSearchParams({ a: "b" }), how],
          [null, how],
        ]),
      ),
      [
        "a blob",
        async () => {
          const blob = await new Response("text", { headers: { "content-type": "a/b" } }).blob();
          return [blob.size, blob.type, await blob.text()];
        },
      ],
      ["a response from before", async () => [old.status, [...old.headers], await old.clone().text()]],
      ["data of a response", () => new Response("x").data],
      [
        "the keys of a response",
        () => {
          const keys = [];
          for (const key in new Response("x")) keys.push(key);
          return keys;
        },
      ],
      ...each("isRedirect", (status) => isRedirect(status), [200, 300, ...statuses, 304, 309]),
      [
        "Response.redirect",
        () => {
          const made = Response.redirect("http://a.b/", 301);
          return [made.status, [...made.headers]];
        },
      ],
      ["Response.error", () => [Response.error().type, Response.error().status]],
    ];
  },
};

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
      const { searchParams } = new URL(request.url, "http://x");
      const to = searchParams.get("to");
      const location =
        {
          same: "/?status=200",
          other: `http://localhost:${last.port}/reached`,
          address: `http://127.0.0.1:${last.port}/reached`,
          loop: request.url,
          bad: "http://",
          scheme: "ftp://x/",
        }[to] ?? to;
      response.writeHead(Number(searchParams.get("status")), { location, "x-from": "first" });
      response.end(JSON.stringify({ method: request.method, headers: pairs(request.rawHeaders) }));
    });
    const { http, wrap, maxRedirects } = library;
    const { get, request } = http;
    return { library, get, request, wrap, maxRedirects, ports: [first.port, last.port] };
  },
  checks: ({ library, get, request, wrap, maxRedirects, ports }) => {
    const [port] = ports;
    const answered = (start) =>
      new Promise((resolve) => {
        const settle = (value) => resolve(steady(value, ports));
        const redirects = [];
        const outgoing = start((response) => {
          const { statusCode, responseUrl, redirects: kept } = response;
          readAll(response).then((text) => settle({ statusCode, responseUrl, redirects, kept: kept.length, text }));
        });
        outgoing.on("redirect", (response, options) =>
          redirects.push([response.statusCode, options.method, options.headers]),
        );
        outgoing.on("error", (error) => settle({ error: `${error.name} ${error.code}: ${error.message}`, redirects }));
        outgoing.end();
      });
    const base = { hostname: "127.0.0.1", port, agent: false, family: 4 };
    const path = (status, to) => `/?status=${status}&to=${encodeURIComponent(to)}`;
    const got = (status, to, more) => answered((done) => get({ ...base, path: path(status, to), ...more }, done));
    const posted = (status, to, more) =>
      answered((done) => {
        const outgoing = request({ ...base, method: "POST", path: path(status, to), ...more }, done);
        outgoing.write("the body");
        return outgoing;
      });
    const each = ["same", "other", "address"];
    const targets = statuses.flatMap((status) => each.map((to) => [status, to]));
    return [
      ...calls("get", got, targets),
      ...calls("get with secrets", (status, to) => got(status, to, { headers: { ...secrets } }), targets),
      ...calls(
        "get with one secret",
        (name, to) => got(302, to, { headers: { [name]: "s" } }),
        Object.keys(secrets).flatMap((name) => each.map((to) => [name, to])),
      ),
      ...calls("post", posted, targets),
      ...calls("post with secrets", (status, to) => posted(status, to, { headers: { ...secrets } }), targets),
      ...calls("get to", (to, more) => got(302, to, more), [
        ["loop", { maxRedirects: 3 }],
        ["bad"],
        ["scheme"],
        ["//localhost:1/x"],
        ["other", { followRedirects: false }],
        ["other", { maxRedirects: 0 }],
        ["other", { trackRedirects: true }],
        [
          "other",
          {
            beforeRedirect: (options) => {
              options.headers.added = "yes";
            },
          },
        ],
        [
          "other",
          {
            beforeRedirect: () => {
              throw new Error("stop");
            },
          },
        ],
        ["other", { auth: "u:p" }],
      ]),
      ["get by an address", () => answered((done) => get(`http://127.0.0.1:${port}${path(302, "other")}`, done))],
      [
        "get by an address with a password",
        () =>
          answered((done) =>
            get(
              new URL(`http://u:p@127.0.0.1:${port}${path(302, "other")}`),
              { headers: { "proxy-authorization": "s" } },
              done,
            ),
          ),
      ],
      [
        "a library that is wrapped anew",
        () =>
          answered((done) =>
            wrap({ http: require("node:http") }).http.get(
              { ...base, path: path(302, "other"), headers: { ...secrets } },
              done,
            ),
          ),
      ],
      ["a body that is too large", () => posted(307, "other", { maxBodyLength: 3 })],
      ["the defaults", () => [maxRedirects, library.maxBodyLength, Object.keys(library)]],
    ];
  },
};

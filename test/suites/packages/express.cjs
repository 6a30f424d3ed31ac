/** Checks for Express: an application that was built before the patch, asked over the loopback interface. */
"use strict";
const { calls, each } = require("../checks.cjs");
const { serve, ask } = require("../loopback.cjs");

const locations = [
  "/a/b",
  "/",
  "",
  "back",
  "../up",
  "?q=1",
  "//google.com\\@apple.com/",
  "https://google.com\\@apple.com",
  "http://example.com/a b?c=d e",
  "https://exämple.com/ü?ö#ä",
  "http://user:pass@host:80/x y",
  "HTTPS://EXAMPLE.COM\\@x",
  "https://a.b%5C@c",
  "https://[::1]/x y",
  "mailto:a b@c",
  "javascript:alert(1)",
  "/a\\b",
  "\\\\evil.com",
  "//evil.com/%0d%0a",
  "/%E4%B8%AD/中",
  "https://a?b|c",
  "ftp://x\\y/z\\w",
  "http://",
  "https:///x",
  "a:b://c d",
  '/x"y<z>',
  5,
  "http://a/\u{1f44d}",
];
const requests = [
  { path: "/" },
  { path: "/nothing" },
  { path: "/user/42" },
  { path: "/user/a%20b" },
  { path: "/user/%zz" },
  { path: "/json" },
  { path: "/json?pretty=1&a[b]=c&a[]=d&__proto__[polluted]=1" },
  { path: "/error" },
  { path: "/late-error" },
  { method: "POST", path: "/echo", headers: { "content-type": "application/json" }, body: '{"a":[1]}' },
  { method: "POST", path: "/echo", headers: { "content-type": "application/json" }, body: "{bad" },
  {
    method: "POST",
    path: "/form",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "a=1&b[c]=2&b[d][]=3",
  },
  { path: "/type", headers: { accept: "text/html" } },
  { path: "/type", headers: { accept: "application/json" } },
  { path: "/type", headers: { accept: "image/png" } },
  { path: "/cookie", headers: { cookie: "a=b" } },
  { path: "/send/buffer" },
  { path: "/send/number" },
  { path: "/send/null" },
  { path: "/etag", headers: { "if-none-match": 'W/"5-fake"' } },
  { method: "HEAD", path: "/json" },
  { method: "OPTIONS", path: "/user/1" },
  { method: "DELETE", path: "/user/1" },
  { path: "/nested/deep/x" },
  { path: "/nested/" },
  { path: "/vary" },
  { path: "/link" },
  { path: "/attachment" },
  { path: "/jsonp?callback=cb" },
  { path: "/jsonp?callback=a(b" },
  { path: "/static/checks.cjs", headers: { range: "bytes=0-3" } },
  { path: "/static/../package.json" },
  { path: "/static/none" },
  { path: "/wild/a/b" },
  { path: "/opt" },
  { path: "/opt/x" },
  { method: "POST", path: "/raw", headers: { "content-type": "text/plain" }, body: "plain" },
  { path: "/status/418" },
  { path: "/format", headers: { "x-forwarded-proto": "https" } },
];

const sent = { buffer: Buffer.from("bytes"), number: "7", null: null };

function routes(express) {
  const app = express();
  app.disable("etag");
  app.get("/", (_request, response) => response.send("home"));
  app.get("/to", (request, response) => response.redirect(Number(request.query.status ?? 302), request.query.url));
  app.get("/at", (request, response) => response.location(request.query.url).end(String(response.get("Location"))));
  app.get("/user/:id", (request, response) => response.json({ params: request.params, base: request.baseUrl }));
  app.get("/json", (request, response) => response.status(201).json({ query: request.query, path: request.path }));
  app.get("/error", () => {
    throw Object.assign(new Error("broken"), { status: 503 });
  });
  app.get("/late-error", (_request, _response, next) => setImmediate(next, new Error("late")));
  app.post("/echo", express.json(), (request, response) => response.json(request.body));
  app.post("/form", express.urlencoded({ extended: true }), (request, response) => response.json(request.body));
  app.post("/raw", express.text(), (request, response) => response.type("txt").send(request.body));
  app.get("/type", (_request, response) =>
    response.format({ html: () => response.send("<p>"), json: () => response.json([]) }),
  );
  app.get("/cookie", (_request, response) =>
    response.cookie("n", { v: 1 }, { httpOnly: true, path: "/x" }).clearCookie("o").end(),
  );
  app.get("/send/:what", (request, response) => response.send(sent[request.params.what]));
  app.get("/etag", (_request, response) => response.set("ETag", 'W/"5-fake"').send("fresh"));
  app.get("/vary", (_request, response) =>
    response.vary("Accept").vary("Origin").append("X-A", ["1", "2"]).sendStatus(204),
  );
  app.get("/link", (_request, response) => response.links({ next: "/n", last: "/l" }).end());
  app.get("/attachment", (_request, response) => response.attachment("ä b.txt").send("x"));
  app.get("/jsonp", (_request, response) => response.jsonp({ a: "\u2028</script>" }));
  app.get("/status/:code", (request, response) => response.sendStatus(Number(request.params.code)));
  app.get("/format", (request, response) =>
    response.json([request.protocol, request.secure, request.hostname, request.xhr, request.ip]),
  );
  app.get("/opt/:x?", (request, response) => response.json(request.params));
  app.all("/wild/*", (request, response) => response.json(request.params));
  const nested = express.Router({ mergeParams: true });
  nested.use((request, _response, next) => {
    request.seen = request.originalUrl;
    next();
  });
  nested.get("/deep/:y", (request, response) => response.json([request.seen, request.params, request.baseUrl]));
  app.use("/nested", nested);
  app.use("/static", express.static(`${__dirname}/..`, { lastModified: false, cacheControl: false, etag: false }));
  app.use((error, _request, response, _next) =>
    response.status(error.status ?? 500).send(`${error.name}: ${error.message}`),
  );
  return app;
}

/** What express.static serves changes with these files, so of that only the beginning counts. */
function shortened(answer) {
  const headers = answer.headers.filter((line) => !/^content-(length|range)/i.test(line));
  return answer.text.length > 300 ? { ...answer, headers, text: answer.text.slice(0, 60) } : { ...answer, headers };
}

module.exports = {
  keep: async (express) => {
    const app = routes(express);
    return { express, app, old: await serve(app) };
  },
  checks: async ({ express, app, old }) => {
    const fresh = await serve(routes(express));
    const at = (path, server) => (url) => ask(server.port, { path: `${path}url=${encodeURIComponent(url)}` });
    const headerOf = (url) => {
      const response = Object.create(app.response, { req: { value: { get: () => "/referrer" } } });
      const headers = {};
      response.set = (name, value) => Object.assign(headers, { [name]: value }) && response;
      response.location(url);
      return headers;
    };
    return [
      ...each("location", headerOf, [...locations, null, undefined, { toString: () => "/own" }]),
      ...each("redirect", at("/to?", old), locations),
      ...each("permanent redirect", at("/to?status=301&", old), locations.slice(0, 10)),
      ...each("location of an answer", at("/at?", fresh), locations),
      ...each("request", async (request) => shortened(await ask(old.port, request)), requests),
      ...each(
        "request to a new application",
        async (request) => shortened(await ask(fresh.port, request)),
        requests.slice(0, 12),
      ),
      ...calls("settings", (name) => [app.get(name), app.enabled(name)], [
        "env",
        "etag",
        "x-powered-by",
        "query parser",
        "subdomain offset",
      ]),
    ];
  },
};

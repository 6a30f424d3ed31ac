/** How the server serves its page: what is there, how it may be kept, and that nothing else is reached. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { before, test } from "node:test";
import { brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { buildConsole } from "../../scripts/build-console.mjs";
import { encodingFor, PageFiles } from "../../src/server/console/page-files.ts";
import { openServer } from "./support/running-server.ts";

let page = "";
before(async () => {
  page = await buildConsole({ say: () => undefined });
});

test("the first view is small, and every part of it has its type and its way of being kept", async (t) => {
  const server = await openServer(t);
  const accept = { "accept-encoding": "gzip, br" };
  const index = await server.ask("/", { headers: accept });
  assert.equal(index.status, 200);
  const { headers } = index;
  assert.deepEqual([headers["content-type"], headers["cache-control"]], ["text/html; charset=utf-8", "no-cache"]);
  const policy = String(headers["content-security-policy"]);
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self' /);
  assert.doesNotMatch(policy, /unsafe|\*|data:|http/);
  const plain = (await server.ask("/")).text;
  assert.doesNotMatch(plain, /<script(?![^>]*\ssrc=)|\son\w+=|<style/, "nothing inline");
  const parts = [...plain.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, address = ""]) => address);
  assert.ok(parts.length >= 3);
  let bytes = Number(headers["content-length"]);
  for (const address of parts) {
    const part = await server.ask(address, { headers: accept });
    assert.equal(part.status, 200, address);
    assert.equal(part.headers["cache-control"], "public, max-age=31536000, immutable");
    assert.equal(part.headers["content-encoding"], "br");
    assert.equal(part.headers["x-content-type-options"], "nosniff");
    bytes += Number(part.headers["content-length"]);
  }
  assert.ok(bytes < 300_000, `${bytes} bytes`);
  const again = await server.ask("/", { headers: { ...accept, "if-none-match": String(headers.etag) } });
  assert.deepEqual([again.status, again.text], [304, ""]);
  const other = await server.ask("/", { headers: { "if-none-match": String(headers.etag) } });
  assert.equal(other.status, 200, "another encoding is another representation");
});

test("an address is never a path on the disk", async (t) => {
  const server = await openServer(t);
  for (const address of [
    ...["/assets/..%2findex.html", "/assets/%2e%2e%2f%2e%2e%2fstamp", "/assets/..", "/assets/", "/assets/.", "/stamp"],
    ...["/assets/%00", "/index.html.br", "/../stamp", "/assets//etc/passwd", "/assets/%2fetc%2fpasswd", "/assets/x.js"],
  ]) {
    const { status } = await server.ask("/", { rawPath: address });
    assert.ok(status === 404 || status === 400, `${address}: ${status}`);
  }
  assert.deepEqual(server.logged, []);
});

test("without a built page the server says what to do, and shows the page once it is there", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-page-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const consoleFolder = path.join(folder, "page");
  const server = await openServer(t, { consoleFolder });
  const missing = await server.ask("/");
  assert.deepEqual([missing.status, missing.headers["content-type"]], [503, "text/plain; charset=utf-8"]);
  assert.match(missing.text, /npm run build:console/);
  mkdirSync(consoleFolder);
  writeFileSync(path.join(consoleFolder, "index.html"), "<!doctype html>");
  assert.equal((await server.ask("/")).text, "<!doctype html>");
});

test("of what is there, the smallest that is accepted is sent", async () => {
  const files = new PageFiles(page);
  const index = files.find("index.html");
  assert.ok(index);
  for (const [accepted, encoding] of [
    [undefined, "identity"],
    ["", "identity"],
    ["gzip", "gzip"],
    ["gzip, deflate, br", "br"],
    ["br;q=0, gzip;q=0.5", "gzip"],
    ["*", "br"],
    ["identity;q=1, *;q=0", "identity"],
  ] as const) {
    assert.equal(encodingFor(accepted, index), encoding, String(accepted));
  }
  const plain = index.bodies.get("identity");
  assert.deepEqual(brotliDecompressSync(index.bodies.get("br") ?? Buffer.alloc(0)), plain);
  assert.deepEqual(gunzipSync(index.bodies.get("gzip") ?? gzipSync("")), plain);
  assert.equal(files.find("stamp"), undefined);
  assert.equal(files.find("../stamp"), undefined);
});

test("a link that no longer works is explained to a browser, and told with its code to a program", async (t) => {
  const server = await openServer(t);
  const address = "/v1/sign-in?token=unknown.word";
  const person = await server.ask(address, { headers: { accept: "text/html,*/*;q=0.8" } });
  assert.deepEqual([person.status, person.headers["content-type"]], [403, "text/html; charset=utf-8"]);
  const program = await server.ask(address);
  assert.deepEqual([program.status, program.body.code], [403, "access/token-invalid"]);
});

test("the newest events are asked for by what they stand before", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  for (let count = 0; count < 5; count++) await admin("/v1/groups", { method: "POST", body: { id: `g${count}` } });
  const all = (await admin("/v1/events?limit=200")).body.items;
  const { body } = await admin(`/v1/events?before=${Number.MAX_SAFE_INTEGER}&limit=3`);
  assert.deepEqual(body.items, all.slice(-3));
  const earlier = await admin(`/v1/events?before=${body.items[0].sequence}&limit=2`);
  assert.deepEqual(earlier.body.items, all.slice(-5, -3));
});

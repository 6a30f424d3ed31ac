/** The contract as others see it: the OpenAPI document, the limits, the form of problems, the stream of events. */
import assert from "node:assert/strict";
import { request as httpsRequest } from "node:https";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { sql } from "kysely";
import { apiLimits } from "../../src/api/api-limits.ts";
import { openApiDocument } from "../../src/api/openapi.ts";
import { Problem } from "../../src/api/problem.ts";
import { routes } from "../../src/api/routes.ts";
import { checkSchema } from "../../src/base/schema-check.ts";
import { fc } from "../support/properties.ts";
import { openServer } from "./support/running-server.ts";

test("the OpenAPI document has every route, and its references arrive", async (t) => {
  const server = await openServer(t);
  const { status, body } = await server.ask("/v1/openapi.json");
  assert.equal(status, 200);
  assert.deepEqual(body, JSON.parse(JSON.stringify(openApiDocument("0.0.0-test"))));
  assert.equal(body.openapi, "3.1.0");
  const operations = Object.values(body.paths as Record<string, Record<string, { operationId: string }>>);
  const ids = operations.flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  assert.deepEqual(ids.toSorted(), Object.keys(routes).toSorted());
  const references = new Set(
    [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name),
  );
  assert.deepEqual([...references].toSorted(), Object.keys(body.components.schemas).toSorted());
  assert.ok(!JSON.stringify(body).includes('"$id"'));
});

test("a validator of others accepts the OpenAPI document", async () => {
  const { valid, errors } = await new Validator().validate(openApiDocument("1.0.0"));
  assert.ok(valid, JSON.stringify(errors));
});

test("what is unchanged is not sent again, and a change of what somebody else has changed meanwhile is declined", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  await admin("/v1/groups", { method: "POST", body: { id: "web", title: "web" } });
  const read = await admin("/v1/groups/web");
  const tag = String(read.headers.etag);
  assert.match(tag, /^"[\w-]{27}"$/);
  const again = await admin("/v1/groups/web", { headers: { "if-none-match": `"other", W/${tag}` } });
  assert.deepEqual([again.status, again.text, again.headers.etag], [304, "", tag]);
  const change = (title: string, match: string) =>
    admin("/v1/groups/web", { method: "PATCH", body: { title }, headers: { "if-match": match } });
  assert.equal((await change("first", tag)).status, 200);
  const second = await change("second", tag);
  assert.deepEqual([second.status, second.body.code], [412, "request/changed-meanwhile"]);
  assert.equal((await admin("/v1/groups/web")).body.title, "first");
  assert.equal((await admin("/v1/groups/web", { headers: { "if-none-match": tag } })).status, 200);
  assert.equal((await change("third", "*")).status, 200);
  const fresh = String((await admin("/v1/groups/web")).headers.etag);
  assert.equal((await change("fourth", `W/${fresh}`)).status, 412, "a weak tag is none to change by");
  const gone = await admin("/v1/groups/web", { method: "DELETE", headers: { "if-match": `"old", ${fresh}` } });
  assert.equal(gone.status, 204);
  const nothing = await admin("/v1/groups", { method: "POST", body: { id: "x" }, headers: { "if-match": "*" } });
  assert.equal(nothing.body.code, "request/invalid");
  assert.deepEqual(server.logged, []);
});

test("every path parameter is declared, and no reading has a body", () => {
  for (const [name, spec] of Object.entries(routes)) {
    const inPath = [...spec.path.matchAll(/\{(\w+)\}/g)].map(([, key]) => key);
    const declared = "params" in spec ? Object.keys(spec.params.properties) : [];
    assert.deepEqual(declared.toSorted(), inPath.toSorted(), name);
    assert.ok(!("body" in spec && (spec.method as string) === "GET"), name);
  }
});

test("what cannot be read is declined as a problem, and within limits", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const send = (raw: string | Buffer, headers: Record<string, string> = {}) =>
    admin("/v1/groups", { method: "POST", raw, headers });
  const deep = `${"[".repeat(50)}${"]".repeat(50)}`;
  const rows: readonly [raw: string | Buffer, code: string, headers?: Record<string, string>][] = [
    ["", "request/invalid"],
    ["{", "request/invalid"],
    [deep, "request/invalid"],
    [Buffer.from([0x22, 0xff, 0x22]), "request/invalid"],
    ['{"id":"a","more":1}', "request/invalid"],
    ['{"id":"A"}', "request/invalid"],
    ['{"id":"a","__proto__":{"title":"x"}}', "request/invalid"],
    [`{"id":"a","title":"${"x".repeat(apiLimits.jsonStringBytes + 1)}"}`, "request/invalid"],
    [" ".repeat(apiLimits.bodyBytes + 1), "request/too-large"],
    ["id=a", "request/media-type", { "content-type": "application/x-www-form-urlencoded" }],
  ];
  for (const [raw, code, headers] of rows) {
    const { status, body, headers: answered } = await send(raw, headers);
    assert.equal(body?.code, code, `${raw.slice(0, 40)}: ${status}`);
    assert.equal(answered["content-type"], "application/problem+json");
    checkSchema(Problem, body, ({ field, problem }) => assert.fail(`${field} ${problem}`));
  }
  const nothing = await server.ask("/v2/anything");
  assert.deepEqual([nothing.status, nothing.body.code], [404, "request/not-found"]);
  assert.equal((await server.ask(`/v1/authority?${"x".repeat(apiLimits.addressBytes)}`)).status, 413);
  for (const [name, value] of Object.entries({ "x-content-type-options": "nosniff", "cache-control": "no-store" })) {
    assert.equal(nothing.headers[name], value);
  }
  assert.deepEqual(server.logged, []);
});

test("whatever is sent, the answer is no bug", { timeout: 120_000 }, async (t) => {
  const server = await openServer(t);
  const machine = await server.enrol("m");
  const paths = ["/v1/agent/facts", "/v1/agent/reports", "/v1/agent/certificate"];
  const sent = fc.asyncProperty(fc.constantFrom(...paths), fc.json({ maxDepth: 4 }), async (path, raw) => {
    const { status, body } = await machine.ask(path, { method: path.endsWith("facts") ? "PATCH" : "POST", raw });
    assert.ok(status >= 400 && status < 500 && typeof body.code === "string", `${status}`);
  });
  await fc.assert(sent, { numRuns: 100 });
  assert.deepEqual(server.logged, []);
});

test("a full disk is said, and nothing is done by halves", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const { database } = server.running.context;
  const { rows } = await sql<{ page_count: number }>`PRAGMA page_count`.execute(database);
  await sql`PRAGMA max_page_count = ${sql.raw(String(rows[0]?.page_count))}`.execute(database);
  const make = (id: string) => admin("/v1/groups", { method: "POST", body: { id, title: "x".repeat(200) } });
  const made: string[] = [];
  let answer = await make("g0");
  while (answer.status === 201 && made.length < 200) {
    made.push(answer.body.id);
    answer = await make(`g${made.length}`);
  }
  assert.deepEqual([answer.status, answer.body.code], [507, "server/storage"]);
  await sql`PRAGMA max_page_count = 100000`.execute(database);
  const ids = (await admin("/v1/groups?limit=200")).body.items.map(({ id }: { id: string }) => id);
  assert.deepEqual(ids, ["all", ...made].toSorted());
  assert.equal((await make("after")).status, 201);
});

test("a stream ends with its session", { timeout: 60_000 }, async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const stream = admin("/v1/events/stream");
  while (server.running.context.signals.count === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await admin("/v1/session", { method: "DELETE" })).status, 204);
  const { status, text } = await stream;
  assert.equal(status, 200);
  assert.ok(!text.includes("signed-out"), "what comes after the session is not for it");
});

test("events stream as they happen, and from where a reader was", { timeout: 60_000 }, async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const signedIn = await server.ask(await server.running.signInLink());
  const cookie = String(signedIn.headers["set-cookie"]).split(";")[0] ?? "";
  const { items } = (await admin("/v1/events?limit=200")).body;
  const seen = items.length;
  const ca = server.running.context.authority.certificate;
  const headers = { cookie, "last-event-id": String(seen - 1) };
  const ids: number[] = [];
  const three = Promise.withResolvers<void>();
  const request = httpsRequest(new URL("/v1/events/stream?after=0", server.running.address), {
    ca,
    headers,
    agent: false,
  });
  request.on("response", (response) => {
    assert.equal(response.headers["content-type"], "text/event-stream");
    response.on("error", () => three.reject(new Error("the stream broke")));
    response.on("data", (chunk: Buffer) => {
      for (const [, id] of chunk.toString("utf8").matchAll(/^id: (\d+)$/gm)) ids.push(Number(id));
      // Made only now, so that it can only come as it happens.
      if (ids.length === 1) void admin("/v1/groups", { method: "POST", body: { id: "a" } });
      if (ids.length === 2) void admin("/v1/groups", { method: "POST", body: { id: "b" } });
      if (ids.length === 3) three.resolve();
    });
  });
  request.end();
  await three.promise;
  request.destroy();
  assert.deepEqual(ids, [seen, seen + 1, seen + 2]);
  while (server.running.context.signals.count > 0) await new Promise((resolve) => setImmediate(resolve));
});

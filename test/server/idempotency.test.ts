/** Requests that are sent again under their key are done once. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import path from "node:path";
import { test } from "node:test";
import { ask } from "../../src/cli/server-client.ts";
import { localSocket } from "../../src/server/local-socket.ts";
import { signInAs } from "./support/people.ts";
import { openServer } from "./support/running-server.ts";

const dayMs = 24 * 60 * 60 * 1000;

test("the same request under the same key is done once and answered alike; another one is declined; each person has keys of his own", async (t) => {
  const server = await openServer(t, { repeat: () => () => undefined });
  let admin = await server.signIn();
  const make = (id: string, key: string, by = admin) =>
    by("/v1/groups", { method: "POST", body: { id }, headers: { "idempotency-key": key } });
  const first = await make("a", '"one"');
  assert.deepEqual([first.status, first.headers["idempotency-replayed"]], [201, undefined], first.text);
  const again = await make("a", '"one"');
  assert.deepEqual([again.status, again.headers["idempotency-replayed"], again.body], [201, "true", first.body]);
  assert.equal((await make("a", "one")).headers["idempotency-replayed"], "true", "bare, it is the same key");
  const [status, code] = await make("b", '"one"').then(({ status, body }) => [status, body.code]);
  assert.deepEqual([status, code], [422, "request/key-reused"]);
  const events = (await admin("/v1/events?after=0&limit=200")).body.items as { kind: string }[];
  assert.equal(events.filter(({ kind }) => kind === "group-made").length, 1);
  assert.equal((await make("a", '"two"')).body.code, "group/exists", "another key is another request");
  await admin("/v1/groups/a", { method: "DELETE" });
  assert.equal((await make("a", '"two"')).status, 201, "what was refused left no key");
  const other = await signInAs(server, "ben", [{ role: "operator", groupId: "all" }]);
  assert.equal((await make("c", '"one"', other)).status, 201);
  assert.equal((await make("d", '"bad key"')).body.code, "request/invalid");
  await server.stop();
  await server.start();
  admin = await server.signIn();
  assert.equal(
    (await make("a", '"two"')).headers["idempotency-replayed"],
    "true",
    "a server that started anew knows it",
  );
  server.now += dayMs;
  await server.running.tick();
  admin = await server.signIn();
  assert.equal((await make("a", '"two"')).body.code, "group/exists", "after a day it is forgotten");
  const { count } = await server.running.context.database
    .selectFrom("idempotency_keys")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  assert.equal(Number(count), 0);
  assert.deepEqual(server.logged, []);
});

test("many of the same at one time are done once", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const headers = { "idempotency-key": '"storm"' };
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => admin("/v1/groups", { method: "POST", body: { id: "x" }, headers })),
  );
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
  assert.equal(answers.filter(({ headers }) => headers["idempotency-replayed"] === undefined).length, 1);
});

test("an answer that holds a secret is kept nowhere, and is not given twice", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const make = () => admin("/v1/enrolment-tokens", { method: "POST", body: {}, headers: { "idempotency-key": '"t"' } });
  assert.equal((await make()).status, 201);
  const second = await make();
  assert.deepEqual([second.status, second.body.code], [409, "request/answer-gone"]);
  const kept = await server.running.context.database.selectFrom("idempotency_keys").select("answer_json").execute();
  assert.deepEqual(
    kept.map(({ answer_json }) => answer_json),
    [null],
  );
});

test("a command whose answer is lost on the way sends its request again, and it is done once", async (t) => {
  const server = await openServer(t);
  const state = path.join(server.folder, "state");
  const between = path.join(server.folder, "between");
  mkdirSync(between);
  let lost = 0;
  // Passes requests on, and breaks off before the first answer.
  const proxy = createServer((request, response) => {
    const { method, url, headers } = request;
    const passed = httpRequest({ socketPath: localSocket(state), method, path: url, headers }, (answer) => {
      if (lost === 0) {
        lost += 1;
        answer.resume();
        answer.once("end", () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(passed);
  }).listen(localSocket(between));
  t.after(() => proxy.close());
  const group = await ask(between, "makeGroup", { body: { id: "once" } });
  assert.deepEqual([group.id, lost], ["once", 1]);
  assert.deepEqual(server.logged, []);
});

/** Webhooks against a real receiver that fails, redirects, breaks off and is gone, verified by the reference verifier. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { Webhook as Verifier } from "standardwebhooks";
import { waitMs } from "../../../src/server/webhooks/message.ts";
import { checkUrl, isPublic } from "../../../src/server/webhooks/safe-address.ts";
import { runProgram } from "../../cli/run-program.ts";
import { signInAs } from "../support/people.ts";
import { openServer } from "../support/running-server.ts";

const main = path.resolve(import.meta.dirname, "../../../src/cli/main.ts");
const hourMs = 60 * 60 * 1000;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function openReceiver(t: TestContext) {
  const received: Received[] = [];
  const receiver = {
    received,
    /** What is answered; taken unless told. */
    answer: (response: ServerResponse): void => void response.writeHead(204).end(),
    url: "",
    /** The numbers of the events, in the order in which they came. */
    sequences: () => received.map(({ body }) => JSON.parse(body).data.sequence as number),
  };
  const http = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.once("end", () => {
      received.push({ headers: request.headers, body });
      receiver.answer(response);
    });
  }).listen(0, "127.0.0.1");
  await once(http, "listening");
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  receiver.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/hook`;
  return receiver;
}

async function open(t: TestContext) {
  const receiver = await openReceiver(t);
  const server = await openServer(t, { webhooksToPrivateAddresses: true, repeat: () => () => undefined });
  let admin = await server.signIn();
  const done = async (method: string, where: string, body?: unknown) => {
    const answer = await admin(where, { method, ...(body === undefined ? {} : { body }) });
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.text}`);
    return answer.body;
  };
  const add = async (more: Record<string, unknown> = {}) =>
    await done("POST", "/v1/webhooks", { title: "pager", url: receiver.url, ...more });
  const pass = async (ms: number) => {
    server.now += ms;
    admin = await server.signIn();
    await server.running.deliver();
  };
  return { receiver, server, done, add, pass, deliver: () => server.running.deliver() };
}

test("each event arrives once and in order, and the reference verifier takes it; a rotated secret signs beside the old one", async (t) => {
  const { receiver, server, done, add, deliver } = await open(t);
  const { webhook, secret } = await add();
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  for (const id of ["a", "b", "c"]) await done("POST", "/v1/groups", { id });
  await deliver();
  const sequences = receiver.sequences();
  const first = webhook.delivered + 1;
  assert.deepEqual(
    sequences,
    sequences.map((_, index) => first + index),
  );
  const made = receiver.received.filter(({ body }) => JSON.parse(body).type === "rebootless.group-made");
  assert.deepEqual(
    made.map(({ body }) => JSON.parse(body).data.subject),
    ["group:a", "group:b", "group:c"],
  );
  for (const { headers, body } of receiver.received) {
    assert.doesNotThrow(() => new Verifier(secret).verify(body, headers as Record<string, string>));
    assert.throws(() => new Verifier(secret).verify(`${body} `, headers as Record<string, string>));
  }
  const rotated = await done("POST", `/v1/webhooks/${webhook.id}/secret`);
  await deliver();
  const last = receiver.received.at(-1);
  assert.ok(last);
  for (const known of [secret, rotated.secret]) {
    assert.doesNotThrow(() => new Verifier(known).verify(last.body, last.headers as Record<string, string>));
  }
  const count = receiver.received.length;
  await deliver();
  assert.equal(receiver.received.length, count, "nothing is sent twice");
  assert.ok(!JSON.stringify((await done("GET", "/v1/events?after=0&limit=200")).items).includes(secret.slice(6)));
  assert.deepEqual(server.logged, []);
});

test("what fails is tried again under its id, on the schedule, and what comes behind waits; nothing is lost by a restart or a pause", async (t) => {
  const { receiver, server, done, add, pass, deliver } = await open(t);
  const { webhook } = await add({ kinds: ["group-made", "group-removed"] });
  receiver.answer = (response) => void response.writeHead(503).end();
  await done("POST", "/v1/groups", { id: "a" });
  await done("POST", "/v1/groups", { id: "b" });
  await deliver();
  await deliver();
  assert.equal(receiver.received.length, 1, "the second attempt has its time");
  await pass(6_000);
  assert.equal(receiver.received.length, 2);
  const ids = new Set(receiver.received.map(({ headers }) => headers["webhook-id"]));
  assert.equal(ids.size, 1);
  const shown = await done("GET", `/v1/webhooks/${webhook.id}`);
  assert.deepEqual([shown.attempts, shown.lastError], [2, "it answered 503"]);
  await pass(60_000);
  assert.equal(receiver.received.length, 2, "five minutes are not over");
  receiver.answer = (response) => void response.writeHead(302, { location: receiver.url }).end();
  await pass(6 * 60_000);
  const redirected = await done("GET", `/v1/webhooks/${webhook.id}`);
  assert.deepEqual([receiver.received.length, redirected.lastError], [3, "it redirects (302)"]);
  receiver.answer = (response) => void response.writeHead(200).end("x".repeat(100_000));
  await server.stop();
  await server.start();
  await pass(hourMs);
  const kinds = receiver.received.slice(3).map(({ body }) => JSON.parse(body).data.subject);
  assert.deepEqual(kinds, ["group:a", "group:b"]);
  await done("PATCH", `/v1/webhooks/${webhook.id}`, { state: "paused" });
  await done("DELETE", "/v1/groups/b");
  await deliver();
  assert.equal(receiver.received.length, 5);
  await done("PATCH", `/v1/webhooks/${webhook.id}`, { state: "active" });
  await deliver();
  assert.equal(JSON.parse(receiver.received.at(-1)?.body ?? "").type, "rebootless.group-removed");
  const { items } = await done("GET", `/v1/webhooks/${webhook.id}/deliveries`);
  assert.deepEqual(
    items.map((one: { status: number }) => one.status),
    [200, 200, 200, 302, 503, 503],
  );
  await done("POST", `/v1/webhooks/${webhook.id}/replay`, { after: 0 });
  await deliver();
  assert.equal(receiver.received.length, 9, "all three again");
  assert.deepEqual(server.logged, []);
});

test("a replay that is asked for while a message is under way is kept", async (t) => {
  const { receiver, done, add, deliver } = await open(t);
  const { webhook } = await add({ kinds: ["group-made"] });
  await done("POST", "/v1/groups", { id: "a" });
  await deliver();
  const underWay = new Promise<ServerResponse>((resolve) => {
    receiver.answer = (response) => resolve(response);
  });
  await done("POST", "/v1/groups", { id: "b" });
  const delivered = deliver();
  const waiting = await underWay;
  receiver.answer = (response) => void response.writeHead(204).end();
  await done("POST", `/v1/webhooks/${webhook.id}/replay`, { after: 0 });
  waiting.writeHead(204).end();
  await delivered;
  await deliver();
  const subjects = receiver.received.map(({ body }) => JSON.parse(body).data.subject);
  assert.deepEqual(subjects, ["group:a", "group:b", "group:a", "group:b"]);
});

test("a failure that comes back after the webhook was paused neither resumes nor disables it", async (t) => {
  const { receiver, done, add, deliver } = await open(t);
  const { webhook } = await add({ kinds: ["group-made"] });
  const underWay = new Promise<ServerResponse>((resolve) => {
    receiver.answer = (response) => resolve(response);
  });
  await done("POST", "/v1/groups", { id: "a" });
  const delivered = deliver();
  const waiting = await underWay;
  await done("PATCH", `/v1/webhooks/${webhook.id}`, { state: "paused" });
  waiting.writeHead(410).end();
  await delivered;
  const shown = await done("GET", `/v1/webhooks/${webhook.id}`);
  assert.deepEqual([shown.state, shown.attempts], ["paused", 0]);
});

test("an address that is gone, or fails for five days, is disabled with an event; resuming sends what happened meanwhile", async (t) => {
  const { receiver, done, add, pass, deliver } = await open(t);
  const { webhook: gone } = await add({ kinds: ["group-made"] });
  receiver.answer = (response) => void response.writeHead(410).end();
  await done("POST", "/v1/groups", { id: "a" });
  await deliver();
  assert.equal((await done("GET", `/v1/webhooks/${gone.id}`)).state, "disabled");
  const disabled = (await done("GET", "/v1/events?after=0&limit=200")).items.filter(
    ({ kind }: { kind: string }) => kind === "webhook-disabled",
  );
  assert.equal(disabled.length, 1);
  receiver.answer = (response) => void response.writeHead(204).end();
  await done("POST", "/v1/groups", { id: "b" });
  await pass(hourMs);
  assert.equal(receiver.received.length, 1);
  await done("PATCH", `/v1/webhooks/${gone.id}`, { state: "active" });
  await deliver();
  assert.equal(receiver.received.length, 3);
  receiver.answer = (response) => void response.destroy();
  await done("POST", "/v1/groups", { id: "c" });
  await deliver();
  for (let day = 0; day < 6; day++) for (let hour = 0; hour < 24; hour += 12) await pass(12 * hourMs);
  const failing = await done("GET", `/v1/webhooks/${gone.id}`);
  assert.equal(failing.state, "disabled");
});

test("only what is about devices of its group is sent", async (t) => {
  const { receiver, server, done, add, deliver } = await open(t);
  await done("POST", "/v1/groups", { id: "web" });
  await add({ groupId: "web", kinds: ["device-enrolled"] });
  await server.enrol("outside");
  const inside = await server.enrol("inside", { groupId: "web" });
  await deliver();
  assert.deepEqual(
    receiver.received.map(({ body }) => JSON.parse(body).data.subject),
    [`device:${inside.id}`],
  );
});

test("addresses that only the server can reach are refused, unless it is told otherwise; only administrators keep webhooks", async (t) => {
  for (const address of [
    "127.0.0.1",
    "10.1.2.3",
    "169.254.169.254",
    "192.168.0.1",
    "::1",
    "fe80::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "0.0.0.0",
    "64:ff9b::7f00:1",
    "::127.0.0.1",
    "fec0::1",
  ]) {
    assert.equal(isPublic(address), false, address);
  }
  for (const address of ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9"]) assert.equal(isPublic(address), true, address);
  const invalid = { code: "request/invalid" };
  for (const url of ["http://example.org/", "https://a:b@example.org/", "ftp://example.org/", "nonsense"]) {
    assert.throws(() => checkUrl(url, { allowPrivate: false }), invalid, url);
  }
  const receiver = await openReceiver(t);
  const server = await openServer(t, { repeat: () => () => undefined });
  const admin = await server.signIn();
  const made = await admin("/v1/webhooks", {
    method: "POST",
    body: { title: "x", url: receiver.url.replace("http:", "https:") },
  });
  assert.equal(made.status, 201);
  const tried = await admin(`/v1/webhooks/${made.body.webhook.id}/test`, { method: "POST" });
  assert.match(tried.body.error, /not an address of the public Internet/);
  assert.equal(receiver.received.length, 0);
  const auditor = await signInAs(server, "anna", [{ role: "auditor", groupId: "all" }]);
  assert.equal((await auditor("/v1/webhooks")).status, 403);
  assert.deepEqual([waitMs(1, 0), waitMs(1, 255), waitMs(99, 0)], [5_000, 5_500, 600 * 60_000]);
});

test("the commands", { timeout: 60_000 }, async (t) => {
  const { receiver, server, done, deliver } = await open(t);
  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (...words: string[]) => await runProgram([main, "webhook", ...words], { env });
  const made = await say("add", "pager", receiver.url, "--kind", "group-made");
  const id = /\(([0-9a-f-]{36})\)\.\nSecret: whsec_/.exec(made.out)?.[1] ?? assert.fail(made.error);
  assert.match((await say("list")).out, new RegExp(`pager +active +http://127.* ${id}`));
  assert.equal((await say("test", id)).code, 0);
  receiver.answer = (response) => void response.writeHead(500).end();
  const failed = await say("test", id);
  assert.deepEqual([failed.code, failed.out.trim()], [1, "It was not taken: it answered 500."]);
  await done("POST", "/v1/groups", { id: "a" });
  await deliver();
  assert.match((await say("deliveries", id)).out, /it answered 500/);
  assert.match((await say("show", id)).out, /failed 1 times/);
  assert.match((await say("pause", id)).out, /paused/);
  assert.match((await say("resume", id)).out, /active/);
  assert.match((await say("rotate", id)).out, /Secret: whsec_/);
  assert.equal((await say("update", id)).code, 2);
  assert.equal((await say("replay", id)).code, 2);
  assert.match((await say("remove", id)).out, /Removed/);
});

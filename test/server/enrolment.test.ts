import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { apiLimits } from "../../src/api/api-limits.ts";
import { validityDays } from "../../src/server/authority/authority.ts";
import { certificateRequest, openServer, type TestServer } from "./support/running-server.ts";

const hourMs = 3_600_000;

async function enrolWith(server: TestServer, token: string, request: string) {
  return await server.ask("/v1/enrol", { method: "POST", body: { token, name: "m", certificateRequest: request } });
}

test("a token works once; its own machine may ask again", async (t) => {
  const server = await openServer(t);
  const token = await server.token();
  const mine = await certificateRequest();
  const theirs = await certificateRequest();
  const first = await enrolWith(server, token, mine.request);
  const again = await enrolWith(server, token, mine.request);
  const stolen = await enrolWith(server, token, theirs.request);
  assert.deepEqual([first.status, again.status, stolen.status], [201, 201, 403]);
  assert.equal(again.body.deviceId, first.body.deviceId);
  assert.equal(stolen.body.code, "access/token-invalid");
  const certificate = new X509Certificate(first.body.certificate);
  assert.equal(certificate.subjectAltName, `URI:urn:rebootless:device:${first.body.deviceId}`);
  assert.ok(certificate.verify(new X509Certificate(first.body.authority).publicKey));
  const days = (certificate.validToDate.getTime() - server.now) / (24 * hourMs);
  assert.ok(Math.abs(days - validityDays.agent) < 0.01, String(days));
});

test("a token expires, and none that is wrong works", async (t) => {
  const server = await openServer(t);
  const { request } = await certificateRequest();
  const token = await server.token({ minutes: 5 });
  const [id = "", secret = ""] = token.split(".");
  for (const wrong of ["x", ".", `${id}.`, `${id}.${secret.slice(1)}`, `${"A".repeat(12)}.${secret}`]) {
    assert.equal((await enrolWith(server, wrong, request)).body.code, "access/token-invalid", wrong);
  }
  server.now += 5 * 60_000 - 1;
  const late = await server.token();
  server.now += 1;
  assert.equal((await enrolWith(server, token, request)).body.code, "access/token-invalid");
  assert.equal((await enrolWith(server, late, request)).status, 201);
});

test("the token names the authority, by which an agent knows the server", async (t) => {
  const server = await openServer(t);
  const pin = (await server.token()).split(".")[2];
  const { body } = await server.ask("/v1/authority");
  const digest = new X509Certificate(body.certificate).fingerprint256.replaceAll(":", "");
  assert.equal(
    Buffer.from(pin ?? "", "base64url")
      .toString("hex")
      .toUpperCase(),
    digest,
  );
  assert.equal(body.sha256, pin);
});

test("a request that is no request, not signed with its key or for another kind of key is refused", async (t) => {
  const server = await openServer(t);
  const token = await server.token();
  const good = (await certificateRequest()).request;
  const lines = good.split("\n");
  const der = Buffer.from(lines.slice(1, -1).join(""), "base64");
  der[der.length - 5] = (der[der.length - 5] ?? 0) ^ 1;
  const forged = `${lines[0]}\n${der.toString("base64")}\n${lines.at(-1)}`;
  const other = (await certificateRequest("P-384")).request;
  for (const request of ["x", forged, other, good.slice(0, 200)]) {
    const { status, body } = await enrolWith(server, token, request);
    assert.deepEqual([status, body.code], [400, "enrolment/request-invalid"], request.slice(0, 30));
  }
  assert.equal((await enrolWith(server, token, good)).status, 201, "the token is still there");
});

test("a device renews its certificate, and no longer once it is revoked", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const machine = await server.enrol("m");
  const renewal = { method: "POST", body: { certificateRequest: machine.request } };
  const renewed = await machine.ask("/v1/agent/certificate", renewal);
  assert.deepEqual([renewed.status, renewed.body.deviceId], [201, machine.id]);
  const fresh = server.machine(machine.id, { ...machine, cert: renewed.body.certificate });
  assert.equal((await fresh.ask("/v1/agent/actions")).status, 200);
  await admin(`/v1/devices/${machine.id}/revocation`, { method: "POST" });
  assert.equal((await fresh.ask("/v1/agent/certificate", renewal)).body.code, "access/device-revoked");
});

test("a sign-in link works once, expires, and its session ends", async (t) => {
  const server = await openServer(t);
  const link = await server.running.signInLink();
  const stale = await server.running.signInLink();
  assert.equal((await server.ask(link, { method: "HEAD" })).status, 404, "a preview does not use it up");
  const signedIn = await server.ask(link);
  assert.match(String(signedIn.headers["set-cookie"]), /^__Host-.*; Path=\/; .*HttpOnly; Secure; SameSite=Strict$/);
  assert.equal((await server.ask(link)).body.code, "access/token-invalid");
  const cookie = String(signedIn.headers["set-cookie"]).split(";")[0] ?? "";
  assert.equal((await server.ask("/v1/session", { headers: { cookie } })).body.name, "administrator");
  server.now += apiLimits.signInLinkMinutes * 60_000;
  assert.equal((await server.ask(stale)).body.code, "access/token-invalid");
  server.now += apiLimits.sessionMinutes * 60_000;
  assert.equal((await server.ask("/v1/session", { headers: { cookie } })).status, 401);
  // An enrolment token is no sign-in link.
  const token = (await server.token()).split(".").slice(0, 2).join(".");
  assert.equal((await server.ask(`/v1/sign-in?token=${token}`)).body.code, "access/token-invalid");
});

test("guessing is slowed down", async (t) => {
  const server = await openServer(t);
  const guess = async () => (await server.ask("/v1/sign-in?token=a.b")).body.code;
  for (let count = 0; count < apiLimits.attemptsPerMinute; count++) assert.equal(await guess(), "access/token-invalid");
  assert.equal(await guess(), "access/rate-limited");
  server.now += 60_000;
  assert.equal(await guess(), "access/token-invalid");
});

test("no secret lies in the state folder but the authority's key, which its owner alone can read", async (t) => {
  const server = await openServer(t);
  const token = await server.token();
  const link = await server.running.signInLink();
  const signedIn = await server.ask(link);
  const cookie = /=([^;]+);/.exec(String(signedIn.headers["set-cookie"]))?.[1] ?? "";
  const state = path.join(server.folder, "state");
  assert.equal(statSync(state).mode & 0o777, 0o700);
  assert.equal(statSync(path.join(state, "authority", "root.key")).mode & 0o777, 0o600);
  assert.equal(statSync(path.join(state, "local.sock")).mode & 0o777, 0o600);
  const secrets = [token.split(".")[1] ?? "", link.split(".").at(-1) ?? "", cookie];
  for (const name of readdirSync(state).filter((entry) => entry.startsWith("server.sqlite"))) {
    const bytes = readFileSync(path.join(state, name));
    for (const secret of secrets) {
      assert.ok(secret.length > 40);
      assert.ok(!bytes.includes(secret), name);
    }
  }
});

/** Every route with no credentials, with an agent's, with an administrator's: the table is what is allowed. */
import assert from "node:assert/strict";
import { Agent, get } from "node:https";
import path from "node:path";
import { test } from "node:test";
import { apiLimits } from "../../src/api/api-limits.ts";
import type { RouteSpec } from "../../src/api/routes/route-spec.ts";
import { type RouteName, routes } from "../../src/api/routes.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import { ask } from "../../src/cli/server-client.ts";
import { type Ask, certificateRequest, openServer } from "./support/running-server.ts";

const uuid = "00000000-0000-4000-8000-000000000000";
const fill = {
  ...{
    deviceId: uuid,
    groupId: "none",
    excludedId: "none",
    approvalId: uuid,
    actionId: uuid,
    issueId: "KI00000001",
    holdId: "SH00000001",
    ruleId: uuid,
    hotpatchId: "none",
  },
  ...{ metadataFile: "timestamp.json", hotpatchFile: `${"0".repeat(64)}.one.hotpatch` },
};

/** By hand, and apart from the table of routes: who gets through the door of each route. */
const allowed: Readonly<Record<string, readonly RouteName[]>> = {
  everybody: ["openapi", "authority", "enrol", "signIn"],
  agent: ["renewCertificate", "changeFacts", "poll", "report", "leave", "trust", "catalogMetadata", "catalogHotpatch"],
  administrator: [
    ...(["session", "signOut", "makeSignInLink", "makeToken"] as const),
    ...(["listDevices", "getDevice", "getFacts", "listKnownFacts", "revokeDevice"] as const),
    ...(["listGroups", "makeGroup", "removeGroup", "listMembers", "addMember", "removeMember"] as const),
    ...(["getGroup", "changeGroup", "previewFilter", "excludeGroup", "includeGroup"] as const),
    ...(["exceptDevice", "unexceptDevice", "listGroupReasons", "tagDevice"] as const),
    ...([
      "listEligibilityRules",
      "changeEligibilityRule",
      "resetEligibilityRule",
      "eligibilityHistory",
      "previewEligibility",
    ] as const),
    ...(["listIssues", "makeIssue", "getIssue", "changeIssue"] as const),
    ...(["listHolds", "makeHold", "getHold", "releaseHold"] as const),
    ...(["listDeviceStates", "countDeviceStates", "explainDevice"] as const),
    ...(["listApprovals", "approve", "removeApproval"] as const),
    ...(["listDeclined", "declineHotpatch", "undoDecline", "getApprovalSettings", "changeApprovalSettings"] as const),
    ...(["listApprovalRules", "makeApprovalRule", "changeApprovalRule", "removeApprovalRule"] as const),
    "runApprovalRule",
    ...(["listHotpatches", "getHotpatch", "listBaselines", "listWithdrawals", "getCalendar"] as const),
    ...(["getDeviceServicing", "listServicing", "setServicing", "clearServicing"] as const),
    ...(["importAdvisories", "listAdvisories"] as const),
    ...(["listActions", "getAction", "requestAction", "listEvents", "streamEvents"] as const),
  ],
};

function requestOf(spec: RouteSpec): [address: string, ask: Ask] {
  const address = spec.path.replaceAll(/\{(\w+)\}/g, (_, name: keyof typeof fill) => fill[name]);
  const withQuery = spec.path === "/v1/sign-in" ? `${address}?token=a.b` : address;
  return [withQuery, spec.method === "GET" ? {} : { method: spec.method, ...(spec.body ? { body: {} } : {}) }];
}

function coded(code: string) {
  return (error: unknown) =>
    (error instanceof RebootlessError && error.code === code) ||
    (error instanceof RefusalError && error.refusals[0]?.code === code);
}

test("the table by hand has every route once", () => {
  assert.deepEqual(Object.values(allowed).flat().toSorted(), Object.keys(routes).toSorted());
});

test("each route lets in whom it should, and nobody else", { timeout: 120_000 }, async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const machine = await server.enrol("machine");
  const callers = {
    nobody: (address: string, ask: Ask) => server.ask(address, ask),
    agent: (address: string, ask: Ask) => machine.ask(address, ask),
    administrator: (address: string, ask: Ask) => admin(address, ask),
  };
  // Signing out ends what the others need, and a stream has no end.
  // What ends a session, and a device, comes last.
  const last: readonly RouteName[] = ["leave", "signOut"];
  const names = (Object.keys(routes) as RouteName[]).filter((name) => !last.includes(name) && name !== "streamEvents");
  const wrong: string[] = [];
  for (const name of [...names, ...last]) {
    for (const [caller, ask] of Object.entries(callers)) {
      const { status, body } = await ask(...requestOf(routes[name]));
      const mayPass = (allowed.everybody ?? []).includes(name) || (allowed[caller] ?? []).includes(name);
      const code = String(body?.code ?? "");
      const refusals = ["access/credentials-missing", "access/forbidden", "access/origin", "access/device-revoked"];
      const passed = !refusals.includes(code);
      if (passed !== mayPass) wrong.push(`${name} by ${caller}: ${status} ${code}`);
      if (!passed) assert.equal(status, caller === "nobody" ? 401 : 403, name);
      assert.ok(status < 500, `${name} by ${caller}: ${status}`);
    }
  }
  assert.deepEqual(wrong, []);
  for (const caller of ["nobody", "agent"] as const) {
    assert.equal((await callers[caller]("/v1/events/stream", {})).status, caller === "nobody" ? 401 : 403);
  }
  assert.equal((await admin("/v1/devices")).body.code, "access/credentials-missing", "after signing out");
  assert.deepEqual(server.logged, []);
});

test("a device that was revoked gets through no agent's door any more", async (t) => {
  const server = await openServer(t);
  const machine = await server.enrol("machine");
  await (await server.signIn())(`/v1/devices/${machine.id}/revocation`, { method: "POST" });
  for (const name of allowed.agent ?? []) {
    const { status, body } = await machine.ask(...requestOf(routes[name]));
    assert.deepEqual([status, body.code], [403, "access/device-revoked"], name);
  }
});

test("the page is for everybody, and holds nothing of anybody's", async (t) => {
  const server = await openServer(t);
  const machine = await server.enrol("machine");
  const admin = await server.signIn();
  const answers = [await server.ask("/"), await machine.ask("/"), await admin("/")];
  assert.equal(new Set(answers.map(({ status }) => status)).size, 1);
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  for (const method of ["POST", "PUT", "DELETE"]) assert.equal((await admin("/", { method })).status, 404, method);
});

test("the local socket is an administrator's way in, and no agent's", async (t) => {
  const server = await openServer(t);
  const state = path.join(server.folder, "state");
  assert.equal((await ask(state, "session")).administrator, "local");
  for (const name of ["poll", "trust"] as const) {
    await assert.rejects(ask(state, name), coded("access/forbidden"), name);
  }
});

test("an agent that asks in a tight loop is made to wait, and no other", { timeout: 120_000 }, async (t) => {
  const server = await openServer(t);
  const [wild, calm] = [await server.enrol("wild"), await server.enrol("calm")];
  const agent = new Agent({ keepAlive: true, maxSockets: 4, key: wild.key, cert: wild.cert });
  t.after(() => agent.destroy());
  const poll = () =>
    new Promise<number>((resolve, reject) => {
      const address = new URL("/v1/agent/actions?waitMs=0", server.running.address);
      const { certificate: ca } = server.running.context.authority;
      const asked = get(address, { agent, ca }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode ?? 0));
      });
      asked.once("error", reject);
    });
  const statuses: number[] = [];
  const work = async () => {
    while (statuses.length < apiLimits.deviceRequestsPerMinute + 20) statuses.push(await poll());
  };
  await Promise.all([work(), work(), work(), work()]);
  const taken = statuses.filter((status) => status === 200).length;
  assert.deepEqual([taken, new Set(statuses)], [apiLimits.deviceRequestsPerMinute, new Set([200, 429])]);
  assert.equal((await wild.ask("/v1/agent/actions?waitMs=0")).body.code, "access/rate-limited");
  assert.equal((await calm.ask("/v1/agent/actions?waitMs=0")).status, 200);
  server.now += 60_000;
  assert.equal(await poll(), 200, "a minute later");
});

test("a session changes nothing for a page of somebody else", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const make = (id: string, headers: Record<string, string>) =>
    admin("/v1/groups", { method: "POST", body: { id }, headers });
  const { port } = new URL(server.running.address);
  for (const origin of [
    "https://evil.example",
    "null",
    `http://127.0.0.1:${port}`,
    "",
    `https://127.0.0.1.evil.example`,
  ]) {
    const { status, body } = await make("evil", { origin });
    assert.deepEqual([status, body.code], [403, "access/origin"], origin);
  }
  const rebound = await make("evil", { host: `evil.example:${port}`, origin: `https://evil.example:${port}` });
  assert.equal(rebound.body.code, "access/origin");
  assert.equal((await make("own", {})).status, 201);
  assert.equal((await make("named", { host: `localhost:${port}`, origin: `https://localhost:${port}` })).status, 201);
});

test("a certificate counts when this authority signed it for a device that is enrolled", async (t) => {
  const server = await openServer(t);
  const other = await openServer(t);
  const machine = await server.enrol("machine");
  const stranger = await other.enrol("stranger");
  assert.equal((await machine.ask("/v1/agent/actions")).status, 200);
  const foreign = await server.machine(machine.id, stranger).ask("/v1/agent/actions");
  assert.equal(foreign.body.code, "access/credentials-missing");
  const { certificate } = await server.running.context.authority.agentCertificate(
    (await certificateRequest()).request,
    uuid,
  );
  assert.ok(certificate.includes("CERTIFICATE"));
  const admin = await server.signIn();
  const revoked = await admin(`/v1/devices/${machine.id}/revocation`, { method: "POST" });
  assert.equal(revoked.body.state, "revoked");
  const cut = await machine.ask("/v1/agent/actions");
  assert.deepEqual([cut.status, cut.body.code], [403, "access/device-revoked"]);
});

test("nothing older than TLS 1.3 is spoken, and nothing without TLS", async (t) => {
  const server = await openServer(t);
  const older = server.ask("/v1/authority", { tls: { maxVersion: "TLSv1.2" } });
  await assert.rejects(older, (error: NodeJS.ErrnoException) =>
    /protocol.version/i.test(`${error.code} ${error.message}`),
  );
  const plain = fetch(server.running.address.replace("https:", "http:"));
  await assert.rejects(plain);
});

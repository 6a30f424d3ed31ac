/** Every route with no credentials, with an agent's, with those of each role: the table is what is allowed. */
import assert from "node:assert/strict";
import { Agent, get } from "node:https";
import path from "node:path";
import { test } from "node:test";
import { apiLimits } from "../../src/api/api-limits.ts";
import { isForPeople, type RouteSpec } from "../../src/api/routes/route-spec.ts";
import { type RouteName, routes } from "../../src/api/routes.ts";
import { type Role, roles } from "../../src/api/schemas/access.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import { ask } from "../../src/cli/server-client.ts";
import { signInAs } from "./support/people.ts";
import { type Answer, type Ask, certificateRequest, openServer } from "./support/running-server.ts";

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
    policyId: uuid,
    rolloutId: uuid,
    webhookId: uuid,
    hotpatchId: "none",
    personId: uuid,
    sessionId: uuid,
    tokenId: uuid,
    role: "auditor",
    kind: "group",
    subject: "none",
    requestId: uuid,
  },
  ...{ metadataFile: "timestamp.json", hotpatchFile: `${"0".repeat(64)}.one.hotpatch` },
};

/** By hand, and apart from the table of routes: who gets through the door of each route. */
const allowed: Readonly<Record<string, readonly RouteName[]>> = {
  everybody: ["openapi", "authority", "enrol", "signIn", "signInMethods", "signInByPassword", "beginOidc", "endOidc"],
  agent: [
    "renewCertificate",
    "changeFacts",
    "poll",
    "report",
    "reportAll",
    "reportHealth",
    "leave",
    "trust",
    "catalogMetadata",
    "catalogHotpatch",
  ],
};
const reading: readonly RouteName[] = [
  ...(["listDevices", "getDevice", "getFacts", "listGroupReasons", "previewFilter", "listMembers"] as const),
  ...(["listApprovals", "listActions", "getAction"] as const),
];
const catalogue: readonly RouteName[] = [
  ...(["listHotpatches", "getHotpatch", "listBaselines", "listWithdrawals", "getCalendar", "listAdvisories"] as const),
  ...(["listIssues", "getIssue"] as const),
];
const eligibility: readonly RouteName[] = ["listEligibilityRules", "eligibilityHistory", "previewEligibility"];
/** Of the whole fleet, and by those who read it. */
const readingAll: readonly RouteName[] = [
  ...catalogue,
  ...eligibility,
  ...(["listDeviceStates", "getDeviceServicing", "listServicing", "countDeviceStates", "explainDevice"] as const),
  ...(["listHolds", "getHold"] as const),
  ...(["listPolicies", "getPolicy", "previewWindows"] as const),
  ...(["listRollouts", "getRollout", "previewRollout", "getCompatibility", "listRolloutDevices", "metrics"] as const),
  ...(["listDeclined", "listApprovalRules", "getApprovalSettings"] as const),
];
const readingFourEyes: readonly RouteName[] = ["listFourEyes", "listApprovalRequests", "getApprovalRequest"];
const deciding: readonly RouteName[] = [...readingFourEyes, "confirmApprovalRequest", "rejectApprovalRequest"];
const ownDoor: readonly RouteName[] = [
  ...(["session", "signOut", "makeSignInLink", "listKnownFacts"] as const),
  ...(["listOwnSessions", "endOtherSessions", "endOwnSession", "changeOwnPassword"] as const),
  ...(["listApiTokens", "makeApiToken", "revokeApiToken"] as const),
];
const people: readonly RouteName[] = [
  ...(["listPeople", "addPerson", "getPerson", "changePerson", "removePerson"] as const),
  ...(["giveRole", "takeRole", "linkPerson", "listPersonSessions", "endPersonSession"] as const),
  ...(["listPersonTokens", "revokePersonToken", "setPassword", "removePassword"] as const),
];
const webhooks: readonly RouteName[] = [
  ...(["listWebhooks", "makeWebhook", "getWebhook", "changeWebhook", "rotateWebhookSecret"] as const),
  ...(["testWebhook", "replayWebhook", "listWebhookDeliveries", "removeWebhook"] as const),
];
const recordAndGroups: readonly RouteName[] = ["listGroups", "getGroup", "listEvents", "streamEvents"];

/** The same for people, by their roles. */
const byRole: Readonly<Record<Role, readonly RouteName[]>> = {
  auditor: [...ownDoor, ...reading, ...recordAndGroups, ...readingAll, ...readingFourEyes],
  operator: [
    ...[...ownDoor, ...reading, ...recordAndGroups, ...readingAll, ...deciding],
    ...([
      "setServicing",
      "clearServicing",
      "makeHold",
      "releaseHold",
      "makeToken",
      "revokeDevice",
      "tagDevice",
      "requestAction",
    ] as const),
    ...(["makeGroup", "removeGroup", "addMember", "removeMember", "changeGroup"] as const),
    ...(["excludeGroup", "includeGroup", "exceptDevice", "unexceptDevice"] as const),
    ...(["pausePolicy", "extendPause", "resumePolicy", "pauseRollout", "resumeRollout"] as const),
  ],
  approver: [
    ...[...ownDoor, ...reading, ...recordAndGroups, ...readingAll, ...deciding],
    ...(["approve", "removeApproval", "declineHotpatch", "undoDecline", "changeApprovalSettings"] as const),
    ...(["makeApprovalRule", "changeApprovalRule", "removeApprovalRule", "runApprovalRule"] as const),
    ...(["makePolicy", "changePolicy", "removePolicy", "expedite", "endExpedite"] as const),
    ...(["makeRollout", "startRollout", "promoteRollout", "abortRollout", "removeRollout"] as const),
    ...(["pausePolicy", "extendPause", "resumePolicy", "pauseRollout", "resumeRollout"] as const),
  ],
  publisher: [...ownDoor, ...catalogue, "makeIssue", "changeIssue", "importAdvisories"],
  administrator: [
    ...[...ownDoor, ...people, ...recordAndGroups, ...eligibility, ...webhooks],
    ...(["changeEligibilityRule", "resetEligibilityRule"] as const),
    ...[...deciding, "requireFourEyes" as const, "releaseFourEyes" as const],
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

/** Codes that say that somebody did not get through the door. */
const turnedAway: ReadonlySet<string> = new Set(
  ["credentials-missing", "forbidden", "scope", "origin", "device-revoked"].map((word) => `access/${word}`),
);

type Asking = (address: string, ask: Ask) => Promise<Answer>;

/** Asks each of these routes, and says which answers were others than the table by hand has. */
async function walk(names: readonly RouteName[], ask: Asking, mayPass: (name: RouteName) => boolean, refused = 403) {
  const wrong: string[] = [];
  for (const name of names) {
    const { status, body } = await ask(...requestOf(routes[name]));
    const passed = !turnedAway.has(String(body?.code ?? ""));
    if (passed !== mayPass(name)) wrong.push(`${name}: ${status} ${body?.code}`);
    if (!passed) assert.equal(status, refused, name);
    assert.ok(status < 500, `${name}: ${status}`);
  }
  return wrong;
}

// Signing out ends what the others need, and a stream has no end; what ends a session, and a device, comes last.
const last: readonly RouteName[] = ["leave", "signOut"];
const names: readonly RouteName[] = [
  ...(Object.keys(routes) as RouteName[]).filter((name) => !last.includes(name) && name !== "streamEvents"),
  ...last,
];

test("the table by hand has every route, and no other", () => {
  const listed = new Set([...Object.values(allowed), ...Object.values(byRole)].flat());
  assert.deepEqual([...listed].toSorted(), Object.keys(routes).toSorted());
});

test("each route lets in nobody, an agent and each role as it should", { timeout: 120_000 }, async (t) => {
  const server = await openServer(t);
  const machine = await server.enrol("machine");
  const everybody = allowed.everybody ?? [];
  const nobody = await walk(names, server.ask.bind(server), (name) => everybody.includes(name), 401);
  assert.deepEqual(nobody, []);
  const agents = [...everybody, ...(allowed.agent ?? [])];
  assert.deepEqual(await walk(names, machine.ask, (name) => agents.includes(name)), []);
  for (const role of roles) {
    // Attempts to sign in are counted by the minute.
    server.now += 60_000;
    const own = [...everybody, ...byRole[role]];
    const person = await signInAs(server, role, [{ role, groupId: "all" }]);
    assert.deepEqual(await walk(names, person, (name) => own.includes(name)), [], role);
    assert.equal((await person("/v1/devices", {})).body.code, "access/credentials-missing", "after signing out");
    const again = await signInAs(server, role, [{ role, groupId: "all" }]);
    if (!byRole[role].includes("streamEvents")) assert.equal((await again("/v1/events/stream", {})).status, 403);
  }
  for (const [ask, status] of [
    [server.ask.bind(server), 401],
    [machine.ask, 403],
  ] as const) {
    assert.equal((await ask("/v1/events/stream", {})).status, status);
  }
  assert.deepEqual(server.logged, []);
});

test("a role in a group opens the routes that keep to a scope, and none that concern the whole fleet", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  assert.equal((await admin("/v1/groups", { method: "POST", body: { id: "web" } })).status, 201);
  for (const role of roles) {
    server.now += 60_000;
    const person = await signInAs(server, role, [{ role, groupId: "web" }]);
    const own = [...(allowed.everybody ?? []), ...byRole[role]].filter((name) => {
      const spec: RouteSpec = routes[name];
      return !isForPeople(spec) || spec.roles === "any" || spec.scoped === true;
    });
    assert.deepEqual(await walk(names, person, (name) => own.includes(name)), [], role);
  }
});

test("an API token opens what its roles open, and nothing that makes or changes credentials", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const everybody = allowed.everybody ?? [];
  for (const [granted, days] of [
    [roles, 1],
    [["auditor"], 2],
  ] as const) {
    server.now += 60_000;
    const grants = granted.map((role) => ({ role, groupId: "all" }));
    const made = await admin("/v1/api-tokens", { method: "POST", body: { title: "walk", grants, days } });
    assert.equal(made.status, 201, made.text);
    const headers = { authorization: `Bearer ${made.body.token}` };
    const token: Asking = (address, ask) => server.ask(address, { ...ask, headers });
    const own = granted
      .flatMap((role) => byRole[role])
      .filter((name) => {
        const spec: RouteSpec = routes[name];
        return isForPeople(spec) && spec.interactive !== true;
      });
    assert.ok(own.length > 20);
    assert.deepEqual(await walk(names, token, (name) => everybody.includes(name) || own.includes(name)), []);
  }
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

test("the local socket is a way in for people, and no agent's", async (t) => {
  const server = await openServer(t);
  const state = path.join(server.folder, "state");
  assert.deepEqual((await ask(state, "session")).via, "local");
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

/** Four eyes: what waits for a second person, and each way around it, tried over HTTP with real people and tokens. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { Role } from "../../src/api/schemas/access.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import { ask } from "../../src/cli/server-client.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { signInAs } from "./support/people.ts";
import { type Answer, type Ask, openServer } from "./support/running-server.ts";

type Asking = (address: string, ask?: Ask) => Promise<Answer>;
const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");
const dayMs = 24 * 60 * 60 * 1000;
const all = (...roles: Role[]) => roles.map((role) => ({ role, groupId: "all" }));

const code = async (asked: Promise<Answer>) => {
  const { status, body } = await asked;
  return `${status} ${body?.code ?? ""}`.trim();
};

async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot }, repeat: () => () => undefined });
  const anna = await signInAs(server, "anna", all("operator", "approver", "administrator"));
  const ben = await signInAs(server, "ben", all("operator", "approver", "administrator"));
  for (const id of ["prod", "test"]) await anna("/v1/groups", { method: "POST", body: { id } });
  const machine = await server.enrol("m", { groupId: "prod" });
  // Policies want what the server has seen in the catalog.
  await server.running.tick();
  const state = async (hotpatchId = "one") => {
    const { body } = await anna(`/v1/actions?deviceId=${machine.id}&hotpatchId=${hotpatchId}`);
    return body.items[0]?.state as string | undefined;
  };
  const required = await anna("/v1/four-eyes/group/prod", { method: "PUT", body: { reason: "production" } });
  assert.equal(required.status, 200, required.text);
  return { server, anna, ben, machine, state };
}

const approval = (groupId: string, hotpatchId = "one", extra = {}): Ask => ({
  method: "POST",
  body: { hotpatchId, groupId, reason: "CVE-2026-1", ...extra },
});

/** Asks for something that has to wait, and answers the request. */
async function waits(asking: Asking, address: string, ask: Ask): Promise<{ id: string; digest: string }> {
  const { status, body, text } = await asking(address, ask);
  assert.deepEqual([status, body?.code], [409, "approval/waiting"], text);
  const request = (await asking(`/v1/approval-requests/${body.details.requestId}`)).body;
  assert.equal(request.state, "waiting");
  return request;
}

const confirm = (asking: Asking, { id, digest }: { id: string; digest: string }, extra = {}) =>
  asking(`/v1/approval-requests/${id}/confirmation`, {
    method: "POST",
    body: { reason: "looked at it", digest, ...extra },
  });

test("an approval waits for a second person, who does it by confirming; nobody confirms his own", async (t) => {
  const { server, anna, ben, machine, state } = await openFleet(t);
  assert.equal(
    await code(anna("/v1/approvals", approval("prod", "one", { reason: " " }))),
    "409 approval/reason-missing",
  );
  const request = await waits(anna, "/v1/approvals", approval("prod"));
  assert.deepEqual(await waits(anna, "/v1/approvals", approval("prod")), request, "asked again it is the same");
  assert.equal(await state(), undefined);
  assert.equal(await code(confirm(anna, request)), "409 approval/same-person");
  assert.equal(await code(confirm(ben, request, { reason: "  " })), "400 request/invalid");
  assert.equal(await code(confirm(ben, { ...request, digest: "a".repeat(43) })), "409 approval/content-changed");
  const auditor = await signInAs(server, "audit", all("auditor"));
  assert.equal(await code(confirm(auditor, request)), "403 access/forbidden");
  const operator = await signInAs(server, "op", all("operator"));
  assert.equal(await code(confirm(operator, request)), "403 access/forbidden", "he might not approve it himself");
  const done = await confirm(ben, request);
  assert.deepEqual([done.status, done.body.state, done.body.decisionReason], [200, "confirmed", "looked at it"]);
  assert.equal(await state(), "offered");
  assert.equal((await machine.poll()).actions.length, 1);
  assert.equal(await code(confirm(ben, request)), "409 approval/not-waiting");
  const { items } = (await anna("/v1/events?limit=200")).body;
  const told = items.filter(({ subject }: { subject: string }) => subject === `request:${request.id}`);
  const kinds = told.map(({ kind, by }: { kind: string; by: { name: string } }) => `${kind} ${by.name.split("-")[0]}`);
  assert.deepEqual(kinds, ["request-made anna", "request-confirmed ben"]);
  assert.deepEqual(server.logged, []);
});

test("a token, the local socket, an account of the same hands and one that came later are no second person", async (t) => {
  const { server, anna, ben, state } = await openFleet(t);
  const local = path.join(server.folder, "state");
  const made = await anna("/v1/api-tokens", {
    method: "POST",
    body: { title: "robot", grants: all("approver", "operator") },
  });
  const headers = { authorization: `Bearer ${made.body.token}` };
  const robot: Asking = (address, ask = {}) => server.ask(address, { ...ask, headers });
  // Over a second account that she let in herself, before and behind another one.
  const add = async (by: Asking, name: string) => {
    const { body } = await by("/v1/people", {
      method: "POST",
      body: { name, grants: all("approver", "administrator") },
    });
    const { link } = (await by(`/v1/people/${body.id}/sign-in-links`, { method: "POST" })).body;
    return { id: body.id as string, asking: await server.signIn(link) };
  };
  const puppet = await add(anna, "puppet");
  const second = await add(puppet.asking, "second-puppet");
  server.now += 1_000;
  const request = await waits(anna, "/v1/approvals", approval("prod"));
  assert.equal(await code(confirm(robot, request)), "403 access/forbidden");
  const body = { reason: "mine", digest: request.digest };
  const overSocket = ask(local, "confirmApprovalRequest", { params: { requestId: request.id }, body });
  const refused = (word: string) => (error: unknown) =>
    error instanceof RefusalError && error.refusals[0]?.code === `approval/${word}`;
  await assert.rejects(overSocket, refused("person-unproven"));
  const directly = ask(local, "approve", { body: { hotpatchId: "one", groupId: "prod", reason: "root" } });
  await assert.rejects(directly, refused("person-unproven"));
  for (const { asking } of [puppet, second]) {
    assert.equal(await code(confirm(asking, request)), "409 approval/same-person");
  }
  server.now += 1_000;
  const late = await signInAs(server, "late", all("approver"));
  assert.equal(await code(confirm(late, request)), "409 approval/same-person", "an account from after the request");
  // What a token of hers asked for, she cannot confirm, nor can two puppets do it among themselves.
  const ofRobot = await waits(robot, "/v1/approvals", approval("prod", "two"));
  assert.equal(await code(confirm(anna, ofRobot)), "409 approval/same-person");
  server.now += 1_000;
  const ofPuppet = await waits(puppet.asking, "/v1/approvals", approval("prod"));
  for (const asking of [second.asking, anna]) {
    assert.equal(await code(confirm(asking, ofPuppet)), "409 approval/same-person");
  }
  // Leaving and coming back makes nobody a second person, and takes his requests with it.
  assert.equal(await code(ben(`/v1/people/${puppet.id}`, { method: "DELETE" })), "204");
  assert.equal(await code(confirm(ben, ofPuppet)), "409 approval/requester-gone");
  const back = await add(ben, "puppet");
  assert.equal(await code(confirm(back.asking, ofPuppet)), "409 approval/same-person");
  assert.deepEqual([await state(), await state("two")], [undefined, undefined]);
  assert.equal(await code(confirm(ben, request)), "200");
  assert.equal(await state(), "offered");
});

test("neither a group beside, nor one above, nor a device that joins later gets around it", async (t) => {
  const { server, anna, ben, machine, state } = await openFleet(t);
  await waits(anna, "/v1/approvals", approval("all"));
  assert.equal((await anna("/v1/approvals", approval("test"))).status, 201, "nothing of prod is in it");
  const tester = await server.enrol("tester", { groupId: "test" });
  assert.equal((await tester.poll()).actions.length, 1);
  assert.equal(await code(anna(`/v1/groups/test/devices/${machine.id}`, { method: "PUT" })), "204");
  assert.equal(await state(), undefined, "it has one approval by one person");
  const { items } = (await anna(`/v1/devices/${machine.id}/states`)).body;
  assert.match(JSON.stringify(items), /approval\/second-person/);
  await waits(anna, "/v1/approvals", approval("test", "two"));
  await waits(anna, "/v1/approval-rules", { method: "POST", body: { title: "r", groupId: "test" } });
  await waits(anna, "/v1/policies", { method: "POST", body: { title: "p", groupIds: ["test"] } });
  await waits(anna, "/v1/declined-hotpatches/one", { method: "PUT", body: { reason: "bad" } });
  // Asking for four eyes anew elsewhere would count what stands as confirmed, and so needs them itself.
  await waits(anna, "/v1/four-eyes/group/test", { method: "PUT", body: { reason: "more" } });
  const request = await waits(anna, "/v1/approvals", approval("prod"));
  assert.equal(await code(confirm(ben, request)), "200");
  assert.equal(await state(), "offered");
});

test("turning it off, and moving a device out, need a second person themselves", async (t) => {
  const { server, anna, ben, machine, state } = await openFleet(t);
  const off = await waits(anna, "/v1/four-eyes/group/prod", { method: "DELETE" });
  for (const [address, ask] of [
    [`/v1/groups/prod/devices/${machine.id}`, { method: "DELETE" }],
    [`/v1/groups/prod/exceptions/${machine.id}`, { method: "PUT" }],
    ["/v1/groups/prod", { method: "DELETE" }],
  ] as const) {
    await waits(anna, address, ask);
  }
  await anna("/v1/groups", { method: "POST", body: { id: "below", parentId: "prod" } });
  await waits(anna, "/v1/groups/below", { method: "PATCH", body: { parentId: "test" } });
  // By a tag that a filter asks for, and by a group that the guarded one excludes.
  const dynamic = { id: "web", parentId: "prod", filter: '"web" in tags' };
  assert.equal((await anna("/v1/groups", { method: "POST", body: dynamic })).status, 201);
  const tagged = await server.enrol("tagged");
  const tag = (tags: { add?: string[]; remove?: string[] }) =>
    anna(`/v1/devices/${tagged.id}/tags`, { method: "PATCH", body: { add: [], remove: [], ...tags } });
  assert.equal((await tag({ add: ["web"] })).status, 200);
  assert.equal(await code(tag({ remove: ["web"] })), "409 approval/waiting");
  assert.equal(
    await code(anna("/v1/groups/web", { method: "PATCH", body: { filter: '"none" in tags' } })),
    "409 approval/waiting",
  );
  assert.equal(await code(anna(`/v1/groups/test/devices/${machine.id}`, { method: "PUT" })), "204");
  await waits(anna, "/v1/groups/prod", { method: "PATCH", body: { excludes: ["test"] } });
  assert.equal(await state(), undefined);
  assert.equal((await anna(`/v1/groups/prod/devices`)).body.items.length, 2, "nobody slipped out");
  assert.equal(await code(confirm(anna, off)), "409 approval/same-person");
  assert.equal(await code(confirm(ben, off)), "200");
  assert.equal((await anna("/v1/approvals", approval("prod"))).status, 201);
});

test("a change of what was asked for voids it; it is rejected by one, and expires", async (t) => {
  const { server, anna, ben, state } = await openFleet(t);
  const policy = await waits(anna, "/v1/policies", { method: "POST", body: { title: "p", groupIds: ["prod"] } });
  assert.equal(await code(confirm(ben, policy)), "200");
  assert.equal(await state(), "offered", "what a confirmed policy wants by itself is confirmed");
  const [{ id }] = (await anna("/v1/policies")).body.items;
  const expedite = await waits(anna, `/v1/policies/${id}/expedites/one`, { method: "PUT", body: { reason: "now" } });
  const change = await waits(anna, `/v1/policies/${id}`, { method: "PATCH", body: { deferralDays: 3 } });
  assert.equal(await code(confirm(ben, change)), "200");
  assert.equal(await code(confirm(ben, expedite)), "409 approval/content-changed", "it was for another policy");
  const again = await waits(anna, `/v1/policies/${id}/expedites/one`, { method: "PUT", body: { reason: "now" } });
  const reject = (reason: string) =>
    anna(`/v1/approval-requests/${again.id}/rejection`, { method: "POST", body: { reason } });
  assert.equal(await code(reject("")), "400 request/invalid");
  assert.equal((await reject("thought better of it")).body.state, "rejected");
  assert.equal(await code(confirm(ben, again)), "409 approval/not-waiting");
  const late = await waits(anna, `/v1/policies/${id}`, { method: "DELETE" });
  server.now += 7 * dayMs + 1;
  const benLater = await signInAs(server, "ben", all("approver"));
  assert.equal(await code(confirm(benLater, late)), "409 approval/not-waiting");
  await server.running.tick();
  const [expired] = (await benLater("/v1/approval-requests?state=expired")).body.items.filter(
    (request: { id: string }) => request.id === late.id,
  );
  assert.equal(expired.state, "expired");
});

test("the commands for four eyes", { timeout: 90_000 }, async (t) => {
  const { server, anna } = await openFleet(t);
  const request = await waits(anna, "/v1/approvals", approval("prod"));
  const say = async (...words: string[]) => {
    const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
    const { code, out, error } = await runProgram([main, ...words], { env });
    return { code, said: out + error };
  };
  assert.match((await say("approval", "four-eyes", "list")).said, /group +prod +\S+ +anna\S* +production/);
  assert.match((await say("approval", "requests")).said, new RegExp(`${request.id} +waiting +approve +anna`));
  const own = await say("approval", "confirm", request.id, "--reason", "mine");
  assert.deepEqual([own.code, /prove no second person/.test(own.said)], [3, true], own.said);
  const off = await say("approval", "four-eyes", "off", "group", "prod");
  assert.deepEqual([off.code, /proves none/.test(off.said)], [3, true], off.said);
  assert.equal((await say("approval", "reject", request.id)).code, 2, "it needs a reason");
  const rejected = await say("approval", "reject", request.id, "--reason", "not before Monday");
  assert.deepEqual([rejected.code, /^Rejected: approve/.test(rejected.said)], [0, true], rejected.said);
  assert.match((await say("approval", "requests")).said, /There is no request/);
  assert.match((await say("approval", "requests", "--only", "rejected")).said, /rejected +approve/);
});

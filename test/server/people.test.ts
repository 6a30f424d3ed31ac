/** People: added, given roles, kept out, and what ends at once with that. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { ask } from "../../src/cli/server-client.ts";
import { firstPersonId } from "../../src/server/database/access-tables.ts";
import { type Answer, type Ask, openServer, type TestServer } from "./support/running-server.ts";

type Asking = (address: string, ask?: Ask) => Promise<Answer>;

async function addPerson(admin: Asking, name: string, ...grants: { role: string; groupId: string }[]): Promise<string> {
  const added = await admin("/v1/people", { method: "POST", body: { name, grants } });
  assert.equal(added.status, 201, added.text);
  return added.body.id;
}

async function signInPerson(server: TestServer, admin: Asking, id: string): Promise<Asking> {
  const made = await admin(`/v1/people/${id}/sign-in-links`, { method: "POST" });
  assert.equal(made.status, 201, made.text);
  return await server.signIn(made.body.link);
}

const code = async (asked: Promise<Answer>) => {
  const { status, body } = await asked;
  return `${status} ${body?.code ?? ""}`.trim();
};

test("a person is added, signs in by a link of his own, and loses at once what is taken", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const id = await addPerson(admin, "ada", { role: "operator", groupId: "all" });
  assert.equal(await code(admin("/v1/people", { method: "POST", body: { name: "ada" } })), "409 access/person-exists");
  const ada = await signInPerson(server, admin, id);
  const { body: session } = await ada("/v1/session");
  assert.deepEqual([session.name, session.grants], ["ada", [{ role: "operator", groupId: "all" }]]);
  const grant = `/v1/people/${id}/grants/operator/all`;
  assert.equal(await code(ada(grant, { method: "DELETE" })), "403 access/forbidden");
  assert.equal(await code(ada(`/v1/people/${id}/grants/administrator/all`, { method: "PUT" })), "403 access/forbidden");
  assert.equal(await code(admin(grant, { method: "DELETE" })), "204");
  assert.equal(await code(ada("/v1/devices")), "401 access/credentials-missing", "the session began with the role");
  assert.equal(await code(admin(grant, { method: "DELETE" })), "404 request/not-found");
  const again = await signInPerson(server, admin, id);
  assert.equal(await code(again("/v1/devices")), "403 access/forbidden");
  assert.equal(await code(admin(`/v1/people/${id}/grants/auditor/none`, { method: "PUT" })), "404 request/not-found");
  assert.deepEqual((await admin("/v1/people?name=ada")).body.items.length, 1);
});

test("somebody who is disabled or removed is out at once, with his links", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const id = await addPerson(admin, "ada", { role: "auditor", groupId: "all" });
  const ada = await signInPerson(server, admin, id);
  const { link } = (await admin(`/v1/people/${id}/sign-in-links`, { method: "POST" })).body;
  const put = (state: string) => admin(`/v1/people/${id}`, { method: "PATCH", body: { state } });
  assert.equal((await put("disabled")).body.state, "disabled");
  assert.equal(await code(ada("/v1/devices")), "401 access/credentials-missing");
  const refused = admin(`/v1/people/${id}/sign-in-links`, { method: "POST" });
  assert.equal(await code(refused), "409 access/person-disabled");
  assert.equal((await put("enabled")).body.state, "enabled");
  assert.equal(await code(ada("/v1/devices")), "401 access/credentials-missing", "what ended stays so");
  assert.equal(await code(server.ask(link)), "403 access/token-invalid");
  const back = await signInPerson(server, admin, id);
  assert.equal(await code(back("/v1/devices")), "200");
  assert.equal(await code(admin(`/v1/people/${id}`, { method: "DELETE" })), "204");
  assert.equal(await code(back("/v1/devices")), "401 access/credentials-missing");
  const { items } = (await admin("/v1/events?limit=200")).body;
  const ofAda = items.filter(({ subject }: { subject: string }) => subject === `person:${id}`);
  const kinds = new Set(ofAda.map(({ kind }: { kind: string }) => kind));
  for (const kind of ["person-added", "role-given", "person-changed", "session-ended", "person-removed"]) {
    assert.ok(kinds.has(kind), kind);
  }
  assert.ok(!JSON.stringify(items).includes("token="), "no event has a secret");
});

test("the last administrator stays, whichever way is tried", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const last = "409 access/last-administrator";
  const own = `/v1/people/${firstPersonId}`;
  const role = `${own}/grants/administrator/all`;
  const disable: Ask = { method: "PATCH", body: { state: "disabled" } };
  const id = await addPerson(admin, "ada", { role: "administrator", groupId: "all" });
  assert.equal(await code(admin(`/v1/people/${id}`, disable)), "200");
  // One who is disabled, and one of some group, do not count.
  await admin("/v1/groups", { method: "POST", body: { id: "web" } });
  await addPerson(admin, "bob", { role: "administrator", groupId: "web" });
  assert.equal(await code(admin(own, disable)), last);
  assert.equal(await code(admin(own, { method: "DELETE" })), last);
  assert.equal(await code(admin(role, { method: "DELETE" })), last);
  assert.equal(await code(admin("/v1/people")), "200", "nothing was changed");
  await admin(`/v1/people/${id}`, { method: "PATCH", body: { state: "enabled" } });
  assert.equal(await code(admin(own, { method: "DELETE" })), "204");
  assert.equal(await code(admin("/v1/people")), "401 access/credentials-missing");
  const { link } = await ask(path.join(server.folder, "state"), "makeSignInLink");
  const { body } = await (await server.signIn(link))("/v1/session");
  assert.equal(body.name, "ada", "the local socket signs in whoever administers");
});

test("who changes his own roles goes on under a new secret, and the old one is worthless", async (t) => {
  const server = await openServer(t);
  const first = await server.signIn();
  const id = await addPerson(first, "ada", { role: "administrator", groupId: "all" });
  const [here, elsewhere] = [await signInPerson(server, first, id), await signInPerson(server, first, id)];
  assert.equal(await code(here("/v1/devices")), "403 access/forbidden");
  const given = await here(`/v1/people/${id}/grants/auditor/all`, { method: "PUT" });
  assert.equal(given.status, 204);
  assert.equal(await code(here("/v1/session")), "401 access/credentials-missing");
  assert.equal(await code(elsewhere("/v1/session")), "401 access/credentials-missing");
  const cookie = String(given.headers["set-cookie"]).split(";")[0] ?? "";
  assert.equal(await code(server.ask("/v1/devices", { headers: { cookie } })), "200");
});

test("sessions are listed and ended, one's own and those of others", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const id = await addPerson(admin, "ada", { role: "auditor", groupId: "all" });
  const [one, two] = [await signInPerson(server, admin, id), await signInPerson(server, admin, id)];
  const three = await signInPerson(server, admin, id);
  const listed = (await one("/v1/sessions")).body.items;
  assert.equal(listed.length, 3);
  const current = listed.filter((session: { current: boolean }) => session.current);
  assert.deepEqual([current.length, current[0].method, current[0].address], [1, "link", "127.0.0.1"]);
  const { body } = await two("/v1/sessions");
  const ofTwo = body.items.find((session: { current: boolean }) => session.current).id;
  assert.equal(
    await code(admin(`/v1/sessions/${ofTwo}`, { method: "DELETE" })),
    "404 request/not-found",
    "not his own",
  );
  assert.equal(await code(one(`/v1/sessions/${ofTwo}`, { method: "DELETE" })), "204");
  assert.equal(await code(two("/v1/session")), "401 access/credentials-missing");
  assert.equal(await code(one("/v1/sessions", { method: "DELETE" })), "204");
  assert.equal(await code(three("/v1/session")), "401 access/credentials-missing");
  const rest = (await admin(`/v1/people/${id}/sessions`)).body.items;
  assert.equal(rest.length, 1);
  assert.equal(await code(admin(`/v1/people/${id}/sessions/${rest[0].id}`, { method: "DELETE" })), "204");
  assert.equal(await code(one("/v1/session")), "401 access/credentials-missing");
});

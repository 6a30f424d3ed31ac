/** API tokens: what they may do, and all that ends them. */
import assert from "node:assert/strict";
import { get } from "node:https";
import { test } from "node:test";
import { apiLimits } from "../../src/api/api-limits.ts";
import { firstPersonId } from "../../src/server/database/access-tables.ts";
import { signInAs } from "./support/people.ts";
import { type Answer, type Ask, openServer, type TestServer } from "./support/running-server.ts";

type Asking = (address: string, ask?: Ask) => Promise<Answer>;
const dayMs = 24 * 60 * 60 * 1000;
const wrong = "401 access/credentials-missing";

function withToken(server: TestServer, token: string): Asking {
  return (address, given = {}) =>
    server.ask(address, { ...given, headers: { authorization: `Bearer ${token}`, ...given.headers } });
}

async function makeToken(
  person: Asking,
  ...words: string[]
): Promise<{ id: string; token: string; expiresAt: string }> {
  const grants = words.map((word) => {
    const [role, groupId = "all"] = word.split(":");
    return { role, groupId };
  });
  const { status, body, text } = await person("/v1/api-tokens", { method: "POST", body: { title: "test", grants } });
  assert.equal(status, 201, text);
  return body;
}

const code = async (asked: Promise<Answer>) => {
  const { status, body } = await asked;
  return `${status} ${body?.code ?? ""}`.trim();
};

async function addPerson(server: TestServer, admin: Asking, ...roles: string[]): Promise<{ id: string; ask: Asking }> {
  const grants = roles.map((role) => ({ role, groupId: "all" }));
  const { body } = await admin("/v1/people", { method: "POST", body: { name: "ada", grants } });
  const link = await admin(`/v1/people/${body.id}/sign-in-links`, { method: "POST" });
  return { id: body.id, ask: await server.signIn(link.body.link) };
}

test("a token needs no cookie and no Origin, is kept as a digest, and shows its last use", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const made = await makeToken(admin, "auditor", "operator");
  assert.match(made.token, /^rbl_[\w-]{43}$/);
  assert.equal(Date.parse(made.expiresAt), server.now + apiLimits.apiTokenDaysByDefault * dayMs);
  const token = withToken(server, made.token);
  const group = { method: "POST", body: { id: "web" }, headers: { origin: "https://elsewhere.example" } };
  assert.equal(await code(token("/v1/groups", group)), "201");
  const { items: events } = (await admin("/v1/events?limit=200")).body;
  const by = { kind: "token", id: firstPersonId, name: "administrator", tokenId: made.id };
  assert.deepEqual(events.at(-1).by, by);
  assert.ok(!JSON.stringify(events).includes("rbl_"), "no event has the token");
  const used = async () => (await admin("/v1/api-tokens")).body.items[0];
  const first = await used();
  assert.equal(Date.parse(first.usedAt), server.now);
  assert.equal(first.token, undefined);
  server.now += 59_000;
  await token("/v1/session");
  assert.equal((await used()).usedAt, first.usedAt);
  server.now += 1_000;
  await token("/v1/session");
  assert.equal(Date.parse((await used()).usedAt), server.now);
  const rows = await server.running.context.database.selectFrom("api_tokens").selectAll().execute();
  assert.deepEqual([rows.length, rows[0]?.digest.length], [1, 32]);
  assert.equal(
    await code(token("/v1/approvals", { method: "POST", body: {} })),
    "403 access/forbidden",
    "another role",
  );
});

test("a token has no role and no group that its person has not", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  for (const body of [{ id: "own" }, { id: "below", parentId: "own" }, { id: "other" }]) {
    await admin("/v1/groups", { method: "POST", body });
  }
  const person = await signInAs(server, "person", [{ role: "operator", groupId: "own" }]);
  const refused = (role: string, groupId: string, days = 1) =>
    code(person("/v1/api-tokens", { method: "POST", body: { title: "x", grants: [{ role, groupId }], days } }));
  assert.equal(await refused("approver", "own"), "403 access/forbidden");
  assert.equal(await refused("administrator", "own"), "403 access/forbidden");
  assert.equal(await refused("operator", "all"), "404 request/not-found");
  assert.equal(await refused("operator", "other"), "404 request/not-found");
  assert.equal(await refused("operator", "own", apiLimits.apiTokenDays + 1), "400 request/invalid");
  const made = await makeToken(person, "operator:below");
  const token = withToken(server, made.token);
  const { items } = (await token("/v1/groups")).body;
  assert.deepEqual(
    items.map(({ id }: { id: string }) => id),
    ["below"],
  );
  assert.equal(await code(token("/v1/groups/own")), "404 request/not-found");
  // Moved out of its person's reach, the group is out of the token's as well.
  await admin("/v1/groups/below", { method: "PATCH", body: { parentId: "other" } });
  assert.equal(await code(token("/v1/groups")), "403 access/forbidden");
});

test("a token ends by time, by hand, with its person's role, and with its person", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const ada = await addPerson(server, admin, "auditor", "operator");
  const [kept, lost] = [await makeToken(ada.ask, "auditor"), await makeToken(ada.ask, "auditor", "operator")];
  const revoked = await makeToken(ada.ask, "auditor");
  const asking = async (token: { token: string }) => await code(withToken(server, token.token)("/v1/devices"));
  for (const token of [kept, lost, revoked]) assert.equal(await asking(token), "200");
  assert.equal(await code(admin(`/v1/api-tokens/${revoked.id}`, { method: "DELETE" })), "404 request/not-found");
  assert.equal(await code(ada.ask(`/v1/api-tokens/${revoked.id}`, { method: "DELETE" })), "204");
  assert.equal(await asking(revoked), wrong);
  const role = `/v1/people/${ada.id}/grants/operator/all`;
  assert.equal(await code(admin(role, { method: "DELETE" })), "204");
  await admin(role, { method: "PUT" });
  assert.deepEqual([await asking(kept), await asking(lost)], ["200", wrong], "the role that came back brings no token");
  const state = (word: string) => admin(`/v1/people/${ada.id}`, { method: "PATCH", body: { state: word } });
  await state("disabled");
  assert.equal(await asking(kept), wrong);
  await state("enabled");
  assert.equal(await asking(kept), wrong);
  const last = await makeToken(admin, "auditor");
  server.now += apiLimits.apiTokenDaysByDefault * dayMs - 1;
  assert.equal(await asking(last), "200");
  server.now += 1;
  assert.equal(await asking(last), wrong);
});

test("a wrong token gets one answer whatever is wrong, beats no cookie, and is counted", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const ended = await makeToken(admin, "auditor");
  await admin(`/v1/api-tokens/${ended.id}`, { method: "DELETE" });
  const good = withToken(server, (await makeToken(admin, "auditor")).token);
  const unknown = `rbl_${"A".repeat(43)}`;
  const answers: Answer[] = [];
  for (const authorization of [`Bearer ${ended.token}`, `Bearer ${unknown}`, "Bearer x", "Basic YTpi"]) {
    answers.push(await server.ask("/v1/devices", { headers: { authorization } }));
  }
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  assert.deepEqual([answers[0]?.status, answers[0]?.headers["www-authenticate"]], [401, "Bearer"]);
  assert.equal(await code(admin("/v1/devices", { headers: { authorization: `Bearer ${unknown}` } })), wrong);
  const codes: string[] = [];
  for (let tries = 0; tries <= apiLimits.attemptsPerMinute; tries += 1) {
    codes.push(await code(withToken(server, unknown)("/v1/devices")));
  }
  assert.equal(codes.at(-1), "429 access/rate-limited");
  assert.equal(await code(good("/v1/devices")), "200", "who has a token is not kept out by a guesser beside him");
});

test("a stream of events ends with its token", { timeout: 60_000 }, async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  const made = await makeToken(admin, "auditor");
  const { certificate: ca } = server.running.context.authority;
  const address = new URL("/v1/events/stream", server.running.address);
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: over, resolve: end } = Promise.withResolvers<number>();
  const headers = { authorization: `Bearer ${made.token}` };
  get(address, { ca, agent: false, headers }, (response) => {
    response.once("data", () => begin());
    response.once("end", () => end(response.statusCode ?? 0));
  });
  await begun;
  assert.equal(await code(admin(`/v1/api-tokens/${made.id}`, { method: "DELETE" })), "204");
  assert.equal(await over, 200);
});

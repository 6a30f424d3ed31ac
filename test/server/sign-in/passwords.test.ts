/** Sign-in by name and password: what is taken, what is refused, and what a guesser meets. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import { openServer } from "../support/running-server.ts";

const main = path.resolve(import.meta.dirname, "../../../src/cli/main.ts");
const good = "correct gravel, eleven umbrellas";

async function open(t: Parameters<typeof openServer>[0]) {
  const server = await openServer(t);
  let admin = await server.signIn();
  const made = await admin("/v1/people", {
    method: "POST",
    body: { name: "anna", title: "Anna Blume", grants: [{ role: "auditor", groupId: "all" }] },
  });
  const at = `/v1/people/${made.body.id}/password`;
  const set = async (password: string) => await admin(at, { method: "PUT", body: { password } });
  const signIn = async (password: string, name = "anna", headers: Record<string, string> = {}) =>
    await server.ask("/v1/sign-in/password", {
      method: "POST",
      body: { name, password },
      headers: { origin: server.running.address, ...headers },
    });
  const later = async (ms: number) => {
    server.now += ms;
    admin = await server.signIn();
  };
  return { server, set, signIn, later, remove: async () => await admin(at, { method: "DELETE" }) };
}

test("a person with a password signs in, under a cookie of the usual kind, until it is taken or changed", async (t) => {
  const { server, set, signIn, remove } = await open(t);
  assert.deepEqual((await server.ask("/v1/sign-in/methods")).body, { oidc: false, password: false });
  assert.equal((await signIn(good)).body.code, "access/password-wrong");
  assert.equal((await set(good)).status, 204);
  assert.deepEqual((await server.ask("/v1/sign-in/methods")).body, { oidc: false, password: true });
  const signedIn = await signIn(good);
  assert.equal(signedIn.status, 204, signedIn.text);
  const header = String(signedIn.headers["set-cookie"]);
  assert.match(
    header,
    /^__Host-rebootless-session=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=Strict$/,
  );
  const cookie = header.split(";")[0] ?? "";
  const session = async () => (await server.ask("/v1/session", { headers: { cookie } })).status;
  assert.equal(await session(), 200);
  assert.equal((await signIn("correct gravel, eleven umbrellae")).body.code, "access/password-wrong");
  assert.equal((await set(`${good} and one more`)).status, 204);
  assert.equal(await session(), 401, "a new password ends what the old one began");
  assert.equal((await signIn(good)).status, 403);
  assert.equal((await signIn(`${good} and one more`)).status, 204);
  assert.equal((await remove()).status, 204);
  assert.equal((await signIn(`${good} and one more`)).status, 403);
  assert.deepEqual(server.logged, []);
});

test("a person changes his own password by the one before, and guessing that waits as signing in does", async (t) => {
  const { server, set, signIn } = await open(t);
  await set(good);
  const cookie = String((await signIn(good)).headers["set-cookie"]).split(";")[0] ?? "";
  const other = String((await signIn(good)).headers["set-cookie"]).split(";")[0] ?? "";
  const next = "seven lanterns over a wet harbour";
  const ask = async (body: Record<string, string>) =>
    await server.ask("/v1/password", { method: "PUT", body, headers: { cookie, origin: server.running.address } });
  assert.equal((await ask({ current: next, password: next })).body.code, "access/password-wrong");
  assert.equal((await ask({ current: good, password: "short" })).body.code, "access/password-weak");
  assert.equal((await ask({ current: good, password: next })).status, 204);
  const session = async (mine: string) => (await server.ask("/v1/session", { headers: { cookie: mine } })).status;
  assert.deepEqual([await session(cookie), await session(other)], [200, 401], "his other sessions end");
  assert.equal((await signIn(good)).status, 403);
  assert.equal((await signIn(next)).status, 204);
  for (let attempt = 0; attempt < 5; attempt++) await ask({ current: "wrong wrong wrong", password: good });
  assert.equal((await ask({ current: next, password: good })).body.code, "access/rate-limited");
  assert.deepEqual(server.logged, []);
});

test("what a guesser would try early is refused, whatever characters it is made of; length alone does", async (t) => {
  const { set } = await open(t);
  for (const weak of [
    "short",
    "passwordpassword",
    "qwertyuiop123",
    "annaannablume",
    "Rebootless123!",
    "aaaaaaaaaaaaaaaa",
    "x".repeat(129),
  ]) {
    const { status, body } = await set(weak);
    assert.deepEqual([status, body?.code], [400, "access/password-weak"], weak);
  }
  for (const fine of [good, "ñandú 🦤 sesenta pestañas", "9f2c7b61e4d0a385c1"])
    assert.equal((await set(fine)).status, 204, fine);
});

test("a guesser waits longer and longer, one answer hides who has a password, and another site signs nobody in", async (t) => {
  const { server, set, signIn, later } = await open(t);
  await set(good);
  assert.equal((await signIn(good, "anna", { origin: "https://evil.example" })).body.code, "access/origin");
  const unknown = await signIn("wrong wrong wrong", "nobody");
  const wrong = await signIn("wrong wrong wrong");
  assert.deepEqual(unknown.body, wrong.body);
  for (let count = 1; count < 5; count++) await signIn("wrong wrong wrong");
  const waits = await signIn(good);
  assert.deepEqual([waits.status, waits.body.code], [429, "access/rate-limited"], "even the right one");
  await later(1_001);
  assert.equal((await signIn("wrong wrong wrong")).status, 403);
  await later(1_500);
  assert.equal((await signIn(good)).status, 429, "twice as long");
  await later(1_000);
  assert.equal((await signIn(good)).status, 204, "nobody is locked out");
  const { status } = await signIn("wrong wrong wrong");
  assert.equal(status, 403, "the count began anew");
  for (let count = 0; count < 30; count++) await signIn("x", `guess-${count}`);
  assert.equal((await signIn("x", "other")).status, 429, "an address has its own bound");
  assert.deepEqual(server.logged, []);
});

test("the command reads it from standard input, and the database keeps no password", { timeout: 60_000 }, async (t) => {
  const { server, signIn } = await open(t);
  const env = { ...process.env, REBOOTLESS_STATE: path.join(server.folder, "state"), NODE_TEST_CONTEXT: undefined };
  const run = async (words: string[], input: string) => {
    const child = spawn(process.execPath, [main, "user", "set-password", ...words], { env, stdio: "pipe" });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    }
    child.stdin.end(input);
    const [code] = await once(child, "close");
    return { code, said };
  };
  const set = await run(["anna"], `${good}\n`);
  assert.deepEqual([set.code, set.said], [0, "anna has a password.\n"]);
  assert.equal((await signIn(good)).status, 204);
  assert.notEqual((await run(["anna"], "short\n")).code, 0);
  assert.notEqual((await run(["anna"], "")).code, 0);
  assert.equal((await run(["anna", "--remove"], "")).code, 0);
  assert.equal((await signIn(good)).status, 403);
  const row = await server.running.context.database
    .selectFrom("people")
    .select("password")
    .where("name", "=", "anna")
    .executeTakeFirst();
  assert.equal(row?.password, null);
});

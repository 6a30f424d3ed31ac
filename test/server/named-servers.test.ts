/** Commands against a server that has a name, and events that follow. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import type { Event } from "../../src/api/schemas/events.ts";
import { ask } from "../../src/cli/server-client.ts";
import { runProgram } from "../cli/run-program.ts";
import { PageServer } from "../console/support/page-server.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");
const options = { timeout: 120_000 };

interface Desk {
  readonly folder: string;
  readonly server: PageServer;
  readonly env: NodeJS.ProcessEnv;
  say(line: string, env?: NodeJS.ProcessEnv): ReturnType<typeof runProgram>;
  link(): Promise<string>;
}

async function openDesk(t: TestContext): Promise<Desk> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-named-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const server = new PageServer(path.join(folder, "state"));
  t.after(() => server.end("SIGKILL"));
  await server.start();
  const env = { XDG_STATE_HOME: path.join(folder, "home"), REBOOTLESS_STATE: "/nonexistent" };
  const say: Desk["say"] = (line, more = {}) =>
    runProgram([main, ...line.split(" ")], { env: { ...env, ...more }, cwd: folder });
  const link = async () => {
    const { code, out, error } = await say(`server sign-in-link --for-command --state ${server.state} --json`);
    assert.deepEqual([code, error], [0, ""]);
    return JSON.parse(out).link;
  };
  return { folder, server, env, say, link };
}

async function add(desk: Desk): Promise<void> {
  const added = await desk.say("server add prod", { REBOOTLESS_SIGN_IN_LINK: await desk.link() });
  assert.deepEqual([added.code, added.error], [0, ""]);
}

test("a server is added by a link, asked by its name, and forgotten", options, async (t) => {
  const desk = await openDesk(t);
  const link = await desk.link();
  writeFileSync(path.join(desk.folder, "link"), `${link}\n`, { mode: 0o600 });
  const added = await desk.say("server add prod --link-file link");
  assert.deepEqual([added.code, added.error], [0, ""]);
  assert.match(added.out, /^Signed in to prod \(https:\/\/127\.0\.0\.1:\d+\), until /);
  const again = await desk.say("server add prod --link-file link");
  assert.equal(again.code, 3, "the link worked once");
  const folder = path.join(desk.folder, "home", "rebootless", "servers");
  assert.deepEqual(readdirSync(folder), ["prod.json"]);
  assert.equal(statSync(path.join(folder, "prod.json")).mode & 0o777, 0o600);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const { session } = JSON.parse(readFileSync(path.join(folder, "prod.json"), "utf8"));
  const listed = await desk.say("server list");
  assert.match(listed.out, /^NAME +ADDRESS +SIGNED IN UNTIL\nprod +https:/);
  assert.ok(!listed.out.includes(session), "the session is shown nowhere");
  for (const [line, env] of [
    ["group create web --server prod", {}],
    ["group create db", { REBOOTLESS_SERVER: "prod" }],
  ] as const) {
    const made = await desk.say(line, env);
    assert.deepEqual([made.code, made.error], [0, ""], line);
  }
  assert.match((await desk.say("group list --server prod")).out, / db +0 +static +db\n +web +0 +static +web\n/);
  assert.equal((await desk.say("group list --server prod --state /x")).code, 2);
  const removed = await desk.say("server remove prod");
  assert.deepEqual([removed.code, removed.out], [0, "Removed: prod.\n"]);
  const events = await ask(desk.server.state, "listEvents", { query: {} });
  assert.equal(events.items.at(-1)?.kind, "signed-out");
  const gone = await desk.say("device list --server prod");
  assert.equal(gone.code, 1);
  assert.match(gone.error, /There is no server "prod".*rebootless server add prod/);
  assert.equal((await desk.say("device list --server ../prod")).code, 2, "a name is no path");
});

test("another server at the address is refused, before anything is sent to it", options, async (t) => {
  const desk = await openDesk(t);
  const link = await desk.link();
  await add(desk);
  await desk.server.end();
  // The same address with another authority: a state folder of its own on the same port.
  rmSync(desk.server.state, { recursive: true });
  await desk.server.start();
  const refused = await desk.say("device list --server prod --json");
  assert.equal(refused.code, 1);
  assert.equal(JSON.parse(refused.out).error.code, "server/wrong-authority");
  const added = await desk.say("server add other --json", { REBOOTLESS_SIGN_IN_LINK: link });
  assert.equal(JSON.parse(added.out).error.code, "server/wrong-authority");
  const { items } = await ask(desk.server.state, "listEvents", { query: {} });
  assert.deepEqual(
    items.map(({ kind }) => kind),
    ["server-started", "sign-in-link-made"],
  );
});

test("a session that has ended says how to get another", options, async (t) => {
  const desk = await openDesk(t);
  await add(desk);
  await desk.server.end();
  const database = new DatabaseSync(path.join(desk.server.state, "server.sqlite"));
  database.exec("UPDATE sessions SET expires_at = 1");
  database.close();
  await desk.server.start();
  const ended = await desk.say("device list --server prod");
  assert.equal(ended.code, 3);
  assert.match(ended.error, /Your session with the server prod has ended; .*rebootless server add prod/);
  assert.equal((await desk.say("server remove prod")).code, 0);
});

test("a link is taken from nowhere that others can read, and a wrong one is named", options, async (t) => {
  const desk = await openDesk(t);
  assert.match((await desk.say("server add prod")).error, /--link-file, where - is standard input/);
  const plain = (await ask(desk.server.state, "makeSignInLink")).link;
  const wrong = await desk.say("server add prod", { REBOOTLESS_SIGN_IN_LINK: plain });
  assert.equal(wrong.code, 2);
  assert.match(wrong.error, /--for-command/);
  assert.ok(!wrong.error.includes("token="), "a link is a secret");
});

interface Following {
  readonly child: ChildProcess;
  readonly events: Event[];
  until(count: number): Promise<void>;
}

function follow(t: TestContext, desk: Desk, words: readonly string[]): Following {
  const child = spawn(process.execPath, [main, "events", "--follow", "--json", ...words], {
    env: { ...process.env, ...desk.env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  const events: Event[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    events.push(...lines.map((line) => JSON.parse(line)));
    child.emit("told");
  });
  const until = async (count: number) => {
    while (events.length < count) await once(child, "told");
  };
  return { child, events, until };
}

test("events follow over the death of the server, locally and from elsewhere, with no gap", options, async (t) => {
  const desk = await openDesk(t);
  await add(desk);
  const local = follow(t, desk, ["--state", desk.server.state]);
  const remote = follow(t, desk, ["--server", "prod", "--after", "2"]);
  await Promise.all([local.until(3), remote.until(1)]);
  for (const round of [1, 2]) {
    await ask(desk.server.state, "makeGroup", { body: { id: `before-${round}` } });
    await desk.server.end("SIGKILL");
    await desk.server.start();
    await ask(desk.server.state, "makeGroup", { body: { id: `after-${round}` } });
  }
  const { items } = await ask(desk.server.state, "listEvents", { query: { limit: 200 } });
  await Promise.all([local.until(items.length), remote.until(items.length - 2)]);
  assert.deepEqual(local.events, items);
  assert.deepEqual(remote.events, items.slice(2));
  const exited = once(local.child, "exit");
  local.child.kill("SIGINT");
  assert.deepEqual(await exited, [130, null]);
});

test(
  "who follows is let go when the session ends, and a server that is not there is told at once",
  options,
  async (t) => {
    const desk = await openDesk(t);
    await add(desk);
    const remote = follow(t, desk, ["--server", "prod"]);
    await remote.until(3);
    const exited = once(remote.child, "exit");
    assert.equal((await desk.say("server remove prod")).code, 0);
    assert.deepEqual(await exited, [3, null]);
    await desk.server.end();
    const nobody = await desk.say(`events --follow --state ${desk.server.state}`);
    assert.equal(nobody.code, 1);
    assert.match(nobody.error, /No server answers/);
  },
);

test("people are managed from elsewhere, and a new secret of one's own session is kept", options, async (t) => {
  const desk = await openDesk(t);
  const local = `--state ${desk.server.state}`;
  const said = async (line: string, env: NodeJS.ProcessEnv = {}) => {
    const { code, out, error } = await desk.say(line, env);
    assert.deepEqual([code, error], [0, ""], line);
    return out;
  };
  assert.match(await said(`user add ada --role administrator ${local}`), /^Added: ada\. /);
  const link = JSON.parse(await said(`user link ada --for-command --json ${local}`)).link;
  await said("server add prod", { REBOOTLESS_SIGN_IN_LINK: link });
  const env = { REBOOTLESS_SERVER: "prod" };
  await said("group create web", { REBOOTLESS_STATE: desk.server.state });
  assert.match(await said("user role ada --give operator:web", env), /^roles: administrator,operator:web$/m);
  assert.match(await said("user list", env), /^ada +enabled +administrator,operator:web +ada$/m);
  assert.match(await said("user sessions", env), / link .* 127\.0\.0\.1 +this one/);
  assert.match(await said(`user disable administrator ${local}`), /^state: disabled$/m);
  const refused = await desk.say("user role ada --take administrator", env);
  assert.deepEqual([refused.code, /nobody would be left/i.test(refused.error)], [3, true], refused.error);
  assert.equal((await desk.say("user role ada --give king", env)).code, 2);
});

test("what is one's own needs a server that one is signed in to, and the command says so", options, async (t) => {
  const desk = await openDesk(t);
  const local = `--state ${desk.server.state}`;
  const own = ["user sessions", "token list", "token create report --role auditor"];
  const revoke = "token revoke 7b1e2c6a-52f0-4d0e-9a57-1f0c3a8e6d11";
  for (const line of [...own, revoke]) {
    const { code, error } = await desk.say(`${line} ${local}`);
    assert.deepEqual([code, /--server \(`rebootless server add` signs in to one\)/.test(error)], [2, true], error);
  }
  await add(desk);
  assert.match(
    (await desk.say(`token list ${local}`)).error,
    /`rebootless server list` has yours\), or a person with --of/,
  );
  // What names a person goes by the state folder as before.
  for (const line of ["user sessions administrator", "token list --of administrator"]) {
    const { code, error } = await desk.say(`${line} ${local}`);
    assert.deepEqual([code, error], [0, ""], line);
  }
});

test(
  "commands ask by an API token from a file or the environment, and not from the command line",
  options,
  async (t) => {
    const desk = await openDesk(t);
    const { server } = desk;
    const link = JSON.parse(
      (await desk.say(`user link administrator --for-command --json --state ${server.state}`)).out,
    );
    await desk.say("server add prod", { REBOOTLESS_SIGN_IN_LINK: link.link });
    const made = await desk.say("token create report --role auditor --days 7 --server prod");
    assert.deepEqual([made.code, made.error], [0, ""]);
    writeFileSync(path.join(desk.folder, "token"), made.out, { mode: 0o600 });
    const [token = ""] = made.out.split("\n");
    const listed = await desk.say("device list --server prod --token-file token --json");
    assert.deepEqual([listed.code, listed.error], [0, ""]);
    const byEnvironment = await desk.say("group create web --server prod", { REBOOTLESS_TOKEN: token });
    assert.deepEqual(
      [byEnvironment.code, /operator/.test(byEnvironment.error)],
      [3, true],
      "an auditor makes no group",
    );
    const shown = await desk.say("token list --server prod");
    const [, id = ""] = /^([0-9a-f-]{36}) +auditor .* report$/m.exec(shown.out) ?? [];
    assert.equal((await desk.say(`token revoke ${token} --server prod`)).code, 2, "the token is not its id");
    assert.equal((await desk.say(`token revoke ${id} --server prod`)).code, 0);
    const ended = await desk.say("device list --server prod --token-file token");
    assert.deepEqual([ended.code, /This API token is not known/.test(ended.error)], [3, true], ended.error);
    assert.equal((await desk.say("device list --token-file token")).code, 2, "the local socket takes none");
    assert.equal((await desk.say("device list --server prod", { REBOOTLESS_TOKEN: "x" })).code, 2);
  },
);

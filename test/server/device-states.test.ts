/** The states of devices: worked out as the table says, stored as worked out, listed and counted, and explained. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { blockCodeNames, blockCodes } from "../../src/api/block-codes.ts";
import { productStates } from "../../src/api/device-state-table.ts";
import { actionStates } from "../../src/api/schemas/actions.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { type Pair, workOut } from "../../src/server/device-states/work-out.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { deviceStatesFile, withTables } from "./support/device-states-document.ts";
import { openServer } from "./support/running-server.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");

async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const server = await openServer(t, {
    catalog: { address, firstRoot: path.join(shop.repository.metadataFolder, "1.root.json") },
  });
  return { server, admin: await server.signIn() };
}

const whole = [
  ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"],
];

function pair(hotpatchId: string, sequence: number, more: Partial<Pair> = {}): Pair {
  return { hotpatchId, sequence, wanted: true, blocks: [], ...more };
}

const block = (code: (typeof blockCodeNames)[number]) => ({ code, reason: "r", helps: "h", untilMs: null });

test("the newest that is wanted decides, and what is in place is told beside it", () => {
  const old = pair("a", 1, { action: { state: "verified", reason: "", byGuard: false } });
  assert.deepEqual(workOut([]), undefined);
  assert.deepEqual(workOut([pair("a", 1, { wanted: false })]), undefined);
  const held = workOut([old, pair("b", 2, { blocks: [block("hold/safeguard")] })]);
  assert.deepEqual([held?.state, held?.hotpatchId, held?.inPlace], ["onHold", "b", { hotpatchId: "a", sequence: 1 }]);
  const kept = workOut([{ ...old, wanted: false }]);
  assert.deepEqual([kept?.state, kept?.sequence], ["verified", 1]);
  const gone = pair("b", 2, { wanted: false, action: { state: "reverted", reason: "", byGuard: true } });
  assert.deepEqual(workOut([gone]), undefined);
  assert.equal(workOut([{ ...gone, wanted: true }])?.state, "revertedByGuard");
  assert.equal(workOut([gone, old])?.state, "verified");
});

test("every state is reached, every block leads to its own, and each says why and what would change it", () => {
  const reached = new Set<string>(["notTargeted"]);
  for (const code of blockCodeNames) {
    const state = workOut([pair("a", 1, { blocks: [block(code)] })]);
    assert.equal(state?.state, blockCodes[code].state);
    reached.add(String(state?.state));
  }
  for (const state of actionStates) {
    for (const byGuard of [false, true]) {
      for (const blocks of [[], [block("pause/policy")]]) {
        const worked = workOut([pair("a", 1, { action: { state, reason: "", byGuard }, blocks })]);
        assert.ok(worked !== undefined && worked.reason !== "" && worked.helps !== "");
        // What has begun is not hidden by what would keep it off now.
        if (state !== "withdrawn") assert.notEqual(worked.state, "paused");
        reached.add(worked.state);
      }
    }
  }
  assert.deepEqual([...reached].toSorted(), [...productStates].toSorted());
});

test("docs/device-states.md has the tables as the data says", () => {
  const document = readFileSync(deviceStatesFile, "utf8");
  assert.equal(document, withTables(document));
});

test("states follow reports, guards and approvals, in lists, counts and words", { timeout: 90_000 }, async (t) => {
  const { server, admin } = await openFleet(t);
  const [first, second] = [await server.enrol("first"), await server.enrol("second")];
  await server.enrol("third");
  const counts = async (query = "") => (await admin(`/v1/device-state-counts${query}`)).body.items;
  assert.deepEqual(await counts(), []);
  await admin("/v1/groups", { method: "POST", body: { id: "web" } });
  for (const { id } of [first, second]) await admin(`/v1/groups/web/devices/${id}`, { method: "PUT" });
  const approval = { hotpatchId: "one", groupId: "web" };
  assert.equal((await admin("/v1/approvals", { method: "POST", body: approval })).status, 201);
  const [{ product, devices, states }] = await counts();
  assert.deepEqual([devices, states.offered, states.notTargeted], [3, 2, 1]);
  const inWeb = (await counts("?group=web"))[0];
  assert.deepEqual([inWeb.devices, inWeb.states.offered, inWeb.states.notTargeted], [2, 2, 0]);

  const why = async (id: string) => (await admin(`/v1/devices/${id}/states`)).body.items[0];
  const [action] = (await first.poll()).actions;
  assert.ok(action);
  const seen: string[] = [];
  for (const event of whole) {
    await first.report(action, event);
    seen.push((await why(first.id)).state);
  }
  const expected = ["downloading", "downloading", "downloading", "applying", "hotpatched", "hotpatched", "verified"];
  assert.deepEqual(seen, expected);
  server.now += 5_000;
  await first.report(action, "revert-started", { reason: "It crashed." });
  await first.report(action, "revert-done", { reason: "It crashed." });
  const guarded = await why(first.id);
  assert.deepEqual([guarded.state, guarded.code], ["revertedByGuard", "action/taken-back-by-guard"]);
  assert.match(guarded.reason, /It crashed\./);
  assert.match(guarded.helps, /action offer/);
  assert.equal(guarded.since, new Date(server.now).toISOString());
  assert.deepEqual((await first.poll()).actions, [], "it is kept off the device");

  const ids = async (query: string) =>
    (await admin(`/v1/device-states?${query}`)).body.items.map((item: { deviceName: string }) => item.deviceName);
  assert.deepEqual(await ids("state=revertedByGuard"), ["first"]);
  assert.deepEqual(await ids(`state=notTargeted&product=${encodeURIComponent(product)}`), ["third"]);
  assert.deepEqual(await ids("state=offered&group=web"), ["second"]);
  assert.equal((await admin("/v1/device-states?state=notTargeted")).status, 400);
  const page = (await admin("/v1/device-states?limit=1")).body;
  const rest = (await admin(`/v1/device-states?limit=1&cursor=${page.next}`)).body;
  assert.deepEqual([page.items.length, rest.items.length, rest.next], [1, 1, undefined]);
  assert.notEqual(page.items[0].deviceId, rest.items[0].deviceId);

  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (...words: string[]) => (await runProgram([main, "device", ...words], { env })).out;
  assert.match(await say("state"), /npm\/\S+ +revertedByGuard +1 +33\.3 %/);
  assert.match(await say("state", "--only", "offered"), /^second +npm\/\S+ +offered +one/m);
  const told = await say("why", "first");
  assert.match(told, /revertedByGuard, one, since/);
  assert.match(told, /what would change it: .*action offer/);
  assert.match(await say("why", "third"), /third is not targeted/);

  assert.equal(
    (await admin(`/v1/actions/${action.id}/requests`, { method: "POST", body: { event: "offer" } })).status,
    200,
  );
  assert.equal((await why(first.id)).state, "offered", "a person says otherwise");
  await admin(`/v1/devices/${second.id}/revocation`, { method: "POST" });
  assert.deepEqual((await counts())[0].states.offered, 1);
  assert.deepEqual(server.logged, []);
});

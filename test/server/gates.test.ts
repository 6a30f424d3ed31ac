/** The one gate: what it blocks is withdrawn and kept with its reason, what it lets pass is offered, and asking again changes nothing. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { change } from "../../src/server/context.ts";
import { endsOfBlocks } from "../../src/server/offers/ends-of-blocks.ts";
import { candidateKey, type Gate } from "../../src/server/offers/gates.ts";
import { offerApproved } from "../../src/server/offers/offers.ts";
import type { OfferScope } from "../../src/server/offers/wanted.ts";
import { openShop } from "../repository/support/shop.ts";
import { openServer, type TestServer } from "./support/running-server.ts";

async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const server = await openServer(t, {
    catalog: { address, firstRoot: path.join(shop.repository.metadataFolder, "1.root.json") },
    // What the server does by itself as time passes would be an event among those that are counted.
    tasks: [],
  });
  const admin = await server.signIn();
  const ask = async (server: TestServer, scope: OfferScope, gates: readonly Gate[]) => {
    const { context } = server.running;
    await change(context, async (under) => await offerApproved(under, context.random, scope, gates));
  };
  const approve = async (hotpatchId: string, groupId = "all") =>
    (await admin("/v1/approvals", { method: "POST", body: { hotpatchId, groupId } })).body;
  const blocks = async () =>
    await server.running.context.database.selectFrom("offer_blocks").selectAll().orderBy("device_id").execute();
  const newest = async () => (await admin("/v1/events?before=9999&limit=1")).body.items[0].sequence;
  return { server, admin, ask, approve, blocks, newest };
}

const held: Gate = async (_db, _now, candidates) =>
  new Map(
    candidates
      .filter(({ hotpatchId }) => hotpatchId === "one")
      .map((candidate) => [
        candidateKey(candidate),
        [
          { code: "pause/policy", subject: "p", reason: "It is paused.", helps: "Resume it." },
          {
            code: "hold/safeguard",
            subject: "h",
            reason: "A hold has it.",
            helps: "Wait.",
            untilMs: Date.parse("2100-01-01T00:00:00Z"),
          },
        ],
      ]),
  );

test("what a gate blocks is withdrawn with its reason and offered again afterwards", { timeout: 60_000 }, async (t) => {
  const { server, admin, ask, approve, blocks, newest } = await openFleet(t);
  const [begun, waiting] = [await server.enrol("begun"), await server.enrol("waiting")];
  for (const id of ["one", "two"]) await approve(id);
  const action = (await begun.poll()).actions.find(({ hotpatchId }) => hotpatchId === "one");
  assert.ok(action);
  for (const event of ["fetch-started", "fetch-done", "plan-done", "apply-started"]) await begun.report(action, event);

  await ask(server, {}, [held]);
  const actions = async () =>
    Object.fromEntries(
      (await admin(`/v1/actions?deviceId=${waiting.id}`)).body.items.map((a: { hotpatchId: string }) => [
        a.hotpatchId,
        a,
      ]),
    );
  assert.deepEqual([(await actions()).one.state, (await actions()).one.reason], ["withdrawn", "A hold has it."]);
  assert.equal((await actions()).two.state, "offered");
  assert.deepEqual(
    (await waiting.poll()).actions.map(({ hotpatchId }) => hotpatchId),
    ["two"],
  );
  const kept = await blocks();
  assert.deepEqual(
    kept.map(({ device_id, code, subject, until_at }) => [device_id, code, subject, until_at]).toSorted(),
    [
      [waiting.id, "hold/safeguard", "h", Date.parse("2100-01-01T00:00:00Z")],
      [waiting.id, "pause/policy", "p", null],
    ],
    "what has begun to change memory goes on, and is blocked by nothing",
  );

  const before = await newest();
  server.now += 60_000;
  await ask(server, {}, [held]);
  await ask(server, { deviceId: waiting.id }, [held]);
  assert.equal(await newest(), before, "asking again changes nothing");
  assert.deepEqual(await blocks(), kept, "not even since when");

  const late = await server.enrol("late");
  await ask(server, { hotpatchId: "one" }, [held]);
  assert.deepEqual(new Set((await blocks()).map(({ device_id }) => device_id)), new Set([waiting.id, late.id]));

  await ask(server, { groupId: "all" }, []);
  assert.deepEqual(await blocks(), []);
  assert.equal((await actions()).one.state, "offered");
  assert.deepEqual(server.logged, []);
});

test("blocks go with what wanted the hotpatch", async (t) => {
  const { server, admin, ask, approve, blocks } = await openFleet(t);
  const machine = await server.enrol("m");
  const approval = await approve("one");
  await ask(server, {}, [held]);
  assert.equal((await blocks()).length, 2);
  assert.equal((await admin(`/v1/approvals/${approval.id}`, { method: "DELETE" })).status, 204);
  assert.deepEqual(await blocks(), []);
  await approve("one");
  await ask(server, {}, [held]);
  await admin(`/v1/devices/${machine.id}/revocation`, { method: "POST" });
  assert.deepEqual(await blocks(), [], "nor is anything kept of a device that was cut off");
});

test("a block that ends by itself is asked about again at that instant", async (t) => {
  const { server, ask, approve, blocks } = await openFleet(t);
  const machine = await server.enrol("m");
  await approve("one");
  const untilMs = server.now + 3_600_000;
  const deferred: Gate = async (_db, now, candidates) =>
    new Map(
      now >= untilMs
        ? []
        : candidates.map((candidate) => [
            candidateKey(candidate),
            { code: "deferral/days", reason: "It is deferred.", helps: "Wait.", untilMs },
          ]),
    );
  await ask(server, {}, [deferred]);
  assert.deepEqual((await machine.poll()).actions, []);
  const { context } = server.running;
  assert.deepEqual(await endsOfBlocks.due(context, untilMs - 1), []);
  server.now = untilMs;
  for (const piece of await endsOfBlocks.due(context, server.now)) {
    await change(context, (under) => endsOfBlocks.work(under, context, piece));
  }
  assert.equal((await machine.poll()).actions[0]?.state, "offered");
  assert.deepEqual(await blocks(), []);
});

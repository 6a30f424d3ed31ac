/** What the catalog says of releases, and what devices are offered by it. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { Baseline } from "../../src/repository/baseline.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { type Release, silentRelease } from "../../src/repository/release-facts.ts";
import { openShop, type Shop } from "../repository/support/shop.ts";
import { type Machine, openServer, type TestServer } from "./support/running-server.ts";

type Admin = Awaited<ReturnType<TestServer["signIn"]>>;

function baseline(id: string, month: string, more: Partial<Baseline> = {}): Baseline {
  return {
    schema: "rebootless.baseline/1",
    id,
    title: `Debian 12, ${month}`,
    system: { id: "debian", version: "12" },
    unplanned: false,
    requires: { packages: { libexpat1: "2.5.0-1+deb12u1", absent: "9" }, kernel: "6.1.0-26" },
    advisories: [],
    supersedes: [],
    ...more,
    release: { ...silentRelease(month), channel: "standard", restart: "required", ...more.release },
  };
}

interface Stage {
  readonly shop: Shop;
  readonly server: TestServer;
  readonly admin: Admin;
  /** Has the server look at the catalog anew. */
  readonly look: () => Promise<void>;
  readonly approve: (hotpatchId: string) => Promise<void>;
}

async function openStage(t: TestContext): Promise<Stage> {
  const shop = openShop(t);
  await shop.init();
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot } });
  const admin = await server.signIn();
  const look = async () => {
    server.now += 3_000;
    assert.equal((await admin("/v1/hotpatches")).status, 200);
  };
  const approve = async (hotpatchId: string) => {
    const made = await admin("/v1/approvals", { method: "POST", body: { hotpatchId, groupId: "all" } });
    assert.equal(made.status, 201, made.text);
  };
  return { shop, server, admin, look, approve };
}

function november(more: Partial<Release> = {}): Release {
  return { ...silentRelease("2026-11"), baseline: "october", ...more };
}

const debian = { "os.id": "debian", "os.version": "12", "cpu.architecture": "x86_64" };
const old = { ...debian, "kernel.release": "6.1.0-25-amd64", packages: { libexpat1: "2.5.0-1" } };
const fresh = { ...debian, "kernel.release": "6.1.0-26-amd64", packages: { libexpat1: "2.5.0-1+deb12u1" } };

async function tell(machine: Machine, facts: Record<string, unknown>): Promise<void> {
  const sent = await machine.ask("/v1/agent/facts", { method: "PATCH", body: { base: 0, changes: facts } });
  assert.equal(sent.status, 200, sent.text);
}

async function offered(machine: Machine): Promise<string[]> {
  return (await machine.poll()).actions.filter(({ state }) => state === "offered").map(({ hotpatchId }) => hotpatchId);
}

async function blocks({ server }: Stage, machine: Machine): Promise<string[]> {
  const rows = await server.running.context.database
    .selectFrom("offer_blocks")
    .select(["hotpatch_id", "code"])
    .where("device_id", "=", machine.id)
    .orderBy("hotpatch_id")
    .orderBy("rank")
    .execute();
  return rows.map(({ hotpatch_id, code }) => `${hotpatch_id} ${code}`);
}

test("a device behind its baseline gets the baseline first, then the hotpatch", { timeout: 60_000 }, async (t) => {
  const stage = await openStage(t);
  const { shop, server, admin } = stage;
  await shop.addBaseline(baseline("october", "2026-10"));
  await shop.add("fix", 1, november());
  await shop.publish();
  const machine = await server.enrol("web-1");
  await tell(machine, old);
  await stage.approve("fix");
  assert.deepEqual(await offered(machine), []);
  assert.deepEqual(await blocks(stage, machine), ["fix baseline/behind"]);
  const servicing = async () => (await admin(`/v1/devices/${machine.id}/servicing`)).body;
  const behind = await servicing();
  assert.deepEqual([behind.standing, behind.baseline, behind.newest], ["behind", null, "october"]);
  assert.deepEqual(behind.lacks, [
    "libexpat1 2.5.0-1+deb12u1 (it has 2.5.0-1)",
    "kernel 6.1.0-26 (6.1.0-25-amd64 runs)",
  ]);
  assert.deepEqual(
    behind.offers.map(({ kind, id, restart }: Record<string, string>) => [kind, id, restart]),
    [
      ["baseline", "october", "required"],
      ["hotpatch", "fix", "none"],
    ],
  );
  // The packages are there, and the old kernel runs on.
  await tell(machine, { ...fresh, "kernel.release": "6.1.0-25-amd64", "restart.required": true });
  assert.deepEqual(await blocks(stage, machine), ["fix restart/pending"]);
  await tell(machine, { ...debian, "kernel.release": "6.1.0-30-amd64" });
  assert.deepEqual(await blocks(stage, machine), ["fix eligibility/unknown"]);
  await tell(machine, fresh);
  assert.deepEqual([await blocks(stage, machine), await offered(machine)], [[], ["fix"]]);
  assert.deepEqual([(await servicing()).standing, (await servicing()).baseline], ["current", "october"]);
  const other = await server.enrol("other");
  await tell(other, { ...fresh, "os.id": "ubuntu" });
  assert.deepEqual(await blocks(stage, other), ["fix eligibility/unmet"]);
  await server.enrol("silent");
  const { devices, ready, blocked } = (await admin("/v1/hotpatches/fix/compatibility")).body;
  assert.deepEqual([devices, ready], [3, 1]);
  const rows = blocked.map((row: { code: string; devices: number; helps: string }) => [row.code, row.devices]);
  assert.deepEqual(rows.toSorted(), [
    ["eligibility/unknown", 1],
    ["eligibility/unmet", 1],
  ]);
  assert.ok(blocked.every(({ reason, helps }: Record<string, string>) => reason !== "" && helps !== ""));
  assert.equal((await admin("/v1/hotpatches/nothing/compatibility")).body.code, "catalog/hotpatch-unknown");
  assert.equal((await admin("/v1/hotpatches/fix/compatibility?groupId=nothing")).status, 404);
});

test("previews, the standard channel and updates that leave the track need a group that opted in", {
  timeout: 60_000,
}, async (t) => {
  const stage = await openStage(t);
  const { shop, server, admin } = stage;
  await shop.add("early", 1, { ...silentRelease("2026-11"), stage: "preview" });
  await shop.add("aside", 1, { ...silentRelease("2026-11"), cadence: "outOfBand", track: "leaves" });
  await shop.publish("plain");
  const machine = await server.enrol("web-1");
  for (const id of ["early", "aside", "plain"]) await stage.approve(id);
  assert.deepEqual(await blocks(stage, machine), ["aside track/leaves", "early stage/preview"]);
  assert.deepEqual(await offered(machine), ["plain"]);
  const put = async (body: unknown) =>
    assert.equal((await admin("/v1/groups/all/servicing", { method: "PUT", body })).status, 200);
  await put({ preview: true, reason: "the ring Test" });
  assert.deepEqual((await offered(machine)).toSorted(), ["early", "plain"]);
  await put({ mayLeaveTrack: true });
  assert.deepEqual((await offered(machine)).toSorted(), ["aside", "early", "plain"]);
  await put({ channel: "standard" });
  assert.deepEqual(await offered(machine), []);
  assert.deepEqual(await blocks(stage, machine), [
    "aside channel/standard",
    "early channel/standard",
    "plain channel/standard",
  ]);
  const { items } = (await admin("/v1/servicing")).body;
  assert.deepEqual(
    items.map((item: Record<string, unknown>) => [item.groupId, item.channel, item.preview, item.mayLeaveTrack]),
    [["all", "standard", true, true]],
  );
  assert.equal((await admin("/v1/groups/all/servicing", { method: "DELETE" })).status, 204);
  assert.deepEqual(await offered(machine), ["plain"]);
  // The publisher says that the preview has stood its test; nobody has to ask.
  await shop.stage("early", "general");
  await stage.look();
  assert.deepEqual((await offered(machine)).toSorted(), ["early", "plain"]);
});

test("what is withdrawn is offered to nobody, and stays where it is in place", { timeout: 60_000 }, async (t) => {
  const stage = await openStage(t);
  const { shop, server, admin } = stage;
  await shop.publish("bad");
  const [waiting, done] = [await server.enrol("waiting"), await server.enrol("done")];
  await stage.approve("bad");
  const [action] = (await done.poll()).actions;
  assert.ok(action);
  for (const event of ["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done"]) {
    assert.equal((await done.report(action, event)).status, 200);
  }
  await shop.withdraw("bad", "It breaks comments.");
  await stage.look();
  assert.deepEqual(await offered(waiting), []);
  assert.deepEqual(await blocks(stage, waiting), ["bad catalog/withdrawn"]);
  assert.equal((await admin(`/v1/actions/${action.id}`)).body.state, "applied");
  const details = (await admin("/v1/hotpatches/bad")).body;
  assert.deepEqual([details.hotpatch, details.withdrawal.reason], [null, "It breaks comments."]);
  const again = await admin("/v1/approvals", { method: "POST", body: { hotpatchId: "bad", groupId: "all" } });
  assert.equal(again.body.code, "catalog/withdrawn");
  const { items } = (await admin("/v1/events?limit=200")).body;
  assert.ok(
    items.some(
      (event: Record<string, unknown>) => event.kind === "catalog-changed" && event.subject === "hotpatch:bad",
    ),
  );
});

test("an out-of-band update does not knock a device off its track in silence", { timeout: 60_000 }, async (t) => {
  const stage = await openStage(t);
  const { shop, server, admin } = stage;
  await shop.addBaseline(baseline("october", "2026-10"));
  const newer = { packages: { libexpat1: "2.5.0-1+deb12u2" } };
  const release: Release = {
    ...silentRelease("2026-11"),
    channel: "standard",
    cadence: "outOfBand",
    track: "leaves",
    restart: "required",
  };
  await shop.addBaseline(baseline("aside", "2026-11", { requires: newer, release }));
  await shop.add("fix", 1, november());
  await shop.publish();
  const machine = await server.enrol("web-1");
  const beside = { ...fresh, packages: { libexpat1: "2.5.0-1+deb12u2" } };
  await tell(machine, beside);
  await stage.approve("fix");
  assert.deepEqual(await blocks(stage, machine), ["fix track/off"]);
  const servicing = (await admin(`/v1/devices/${machine.id}/servicing`)).body;
  assert.deepEqual(servicing.offTrack, { by: "aside", until: "2027-01" });
  assert.equal(servicing.baseline, "october");
  const january = { packages: { libexpat1: "2.5.0-1+deb12u3" } };
  await shop.addBaseline(baseline("january", "2027-01", { requires: january, supersedes: ["october"] }));
  await shop.add("next", 1, { ...silentRelease("2027-02"), baseline: "january" });
  await shop.publish();
  await stage.look();
  await stage.approve("next");
  assert.deepEqual(await blocks(stage, machine), ["fix track/off", "next baseline/behind"]);
  await tell(machine, { ...fresh, packages: { libexpat1: "2.5.0-1+deb12u3" } });
  assert.deepEqual(await blocks(stage, machine), []);
});

/** Rules of eligibility: what they keep off with all reasons, what a preview says before, and what a change does at once. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { shippedRules } from "../../src/api/eligibility-rules.ts";
import { compileFilter } from "../../src/cel/compile-filter.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { openServer } from "./support/running-server.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");

const device = { id: "d", name: "d", enrolledAtMs: 0, tags: [] };
const good = {
  ...{ "os.build": "26100.4000", "os.edition": "Enterprise", "firmware.secureBoot": true, "tpm.version": "2.0" },
  ...{ "kernel.lockdown": "integrity", "memory.bytes": 16 * 2 ** 30, "cpu.architecture": "x86_64" },
  ...{ "kernel.release": "6.1.0-18-amd64", "agent.version": "0.1.0", "agent.backupHook": true },
};
const bad = {
  ...{ "os.build": "26100.2032", "os.edition": "Home", "firmware.secureBoot": false, "tpm.version": "1.2" },
  ...{ "kernel.lockdown": "confidentiality", "memory.bytes": 4 * 2 ** 30, "cpu.architecture": "aarch64" },
  ...{ "kernel.release": "4.19.0", "agent.version": "0.0.9", "agent.backupHook": false },
};

test("every rule that ships holds on a device that is fit, and fails on one that is not", () => {
  for (const { id, filter } of shippedRules) {
    const rule = compileFilter(filter, "group");
    assert.equal(rule.evaluate({ ...device, facts: good }).kind, "holds", id);
    assert.equal(rule.evaluate({ ...device, tags: ["unmanaged"], facts: bad }).kind, "fails", id);
    if (rule.facts.size > 0) assert.equal(rule.evaluate({ ...device, facts: {} }).kind, "unknown", id);
  }
  const isolation = shippedRules.find(({ id }) => id === "isolation");
  const enabledOnly = { ...good, "kernel.lockdown": "none" };
  assert.equal(
    compileFilter(isolation?.filter ?? "", "group").evaluate({ ...device, facts: enabledOnly }).kind,
    "fails",
  );
});

async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const server = await openServer(t, {
    catalog: { address, firstRoot: path.join(shop.repository.metadataFolder, "1.root.json") },
  });
  const admin = await server.signIn();
  const [fit, unfit, silent] = [await server.enrol("fit"), await server.enrol("unfit"), await server.enrol("silent")];
  for (const [machine, facts] of [
    [fit, good],
    [unfit, bad],
  ] as const) {
    const told = await machine.ask("/v1/agent/facts", { method: "PATCH", body: { base: 0, changes: facts } });
    assert.equal(told.status, 200, told.text);
  }
  return { server, admin, fit, unfit, silent };
}

test("rules keep off with all reasons, previews count, and changes act at once", { timeout: 90_000 }, async (t) => {
  const { server, admin, fit, unfit, silent } = await openFleet(t);
  await admin("/v1/approvals", { method: "POST", body: { hotpatchId: "one", groupId: "all" } });
  const why = async (id: string) => (await admin(`/v1/devices/${id}/states`)).body.items[0];
  const states = async () => [(await why(fit.id)).state, (await why(unfit.id)).state, (await why(silent.id)).state];
  assert.deepEqual(await states(), ["offered", "ineligible", "offered"], "an npm hotpatch asks for no TPM");
  assert.deepEqual((await unfit.poll()).actions, []);
  const { product, reason } = await why(unfit.id);
  assert.match(reason, /agent is older/);

  const change = { id: "tpm", products: ["*"] };
  const before = (await admin("/v1/events?before=9999&limit=1")).body.items[0].sequence;
  const preview = await admin("/v1/eligibility-previews", { method: "POST", body: { product, change } });
  assert.deepEqual([preview.body.devices, preview.body.eligible], [3, 1]);
  const { lacking } = preview.body;
  assert.deepEqual(
    lacking.map(({ ruleId, unmet, unknown }: Record<string, unknown>) => [ruleId, unmet, unknown]),
    [
      ["tpm", 1, 1],
      ["agent-version", 1, 0],
    ],
  );
  assert.equal((await admin("/v1/events?before=9999&limit=1")).body.items[0].sequence, before, "nothing is changed");
  assert.deepEqual(await states(), ["offered", "ineligible", "offered"]);

  const put = (rule: string, body: unknown) => admin(`/v1/eligibility-rules/${rule}`, { method: "PUT", body });
  assert.equal((await put("tpm", { products: ["*"], why: "Policy 7." })).status, 200);
  assert.deepEqual(await states(), ["offered", "ineligible", "ineligible"]);
  assert.deepEqual((await silent.poll()).actions, [], "what was offered is withdrawn");
  const codes = async (id: string) =>
    (await why(id)).blocks.map(({ code, subject }: Record<string, string>) => [code, subject]);
  assert.deepEqual(await codes(unfit.id), [
    ["eligibility/unmet", "agent-version"],
    ["eligibility/unmet", "tpm"],
  ]);
  assert.deepEqual(await codes(silent.id), [["eligibility/unknown", "tpm"]]);
  await silent.ask("/v1/agent/facts", { method: "PATCH", body: { base: 0, changes: good } });
  assert.equal((await why(silent.id)).state, "offered");

  const own = { products: [product], filter: '"prod" in tags', reason: "It is no production.", helps: "Tag it." };
  assert.equal((await put("own", { why: "x", filter: "true" })).body.code, "request/invalid");
  assert.equal((await put("own", { ...own, filter: "nope", why: "x" })).body.code, "request/filter");
  assert.equal((await put("own", { ...own, why: "Only production." })).status, 200);
  assert.deepEqual(await states(), ["ineligible", "ineligible", "ineligible"]);
  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (...words: string[]) => await runProgram([main, "eligibility", ...words], { env });
  assert.match(
    (await say("preview", product)).out,
    /^Of 3 devices 0 can take hotpatches of npm.*\n3 lack own: It is no production\. Tag it\./,
  );
  assert.match((await say("set", "own", "--off", "--why", "Too early")).out, /^Saved: own is off/);
  assert.deepEqual(await states(), ["offered", "ineligible", "offered"]);
  assert.match((await say("reset", "own", "--why", "Not needed")).out, /^Reset: own\./);
  const history = (await admin("/v1/eligibility-rules/own/history")).body.items;
  assert.deepEqual(
    history.map(({ why, rule }: { why: string; rule: { enabled: boolean } | null }) => [why, rule?.enabled ?? null]),
    [
      ["Only production.", true],
      ["Too early", false],
      ["Not needed", null],
    ],
  );
  assert.equal((await say("set", "tpm", "--off")).code, 2, "a change owes its reason");
  assert.match((await say("list")).out, /^tpm +on +\* +blocks/m);
  assert.deepEqual(server.logged, []);
});

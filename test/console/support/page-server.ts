/** A server for the page: with a catalog that lists a hotpatch that was really built, and machines that report as agents do. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Action, Assignment } from "../../../src/api/schemas/actions.ts";
import { ask } from "../../../src/cli/server-client.ts";
import { encodeHotpatch } from "../../../src/hotpatch/container.ts";
import { openHotpatch } from "../../../src/hotpatch/open-hotpatch.ts";
import { loadTrustStore } from "../../../src/hotpatch/trust-store.ts";
import { stageHotpatch } from "../../../src/repository/writer/publish.ts";
import { openDesk } from "../../cli/desk.ts";
import { writePackage } from "../../engine/node/application.ts";
import { newKey, sampleHotpatch, trusting } from "../../hotpatch/support/sample.ts";
import { openShop, type Shop } from "../../repository/support/shop.ts";
import { type Answer, type Ask, certificateRequest, exchange } from "../../server/support/running-server.ts";
import { ServerProcess } from "../../server/support/server-process.ts";

/** What must be shown as text wherever it stands. */
export const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

const before = { "index.js": `exports.clean = function clean(text) {\n  return text;\n};\n` };
const after = { "index.js": `exports.clean = function clean(text) {\n  return text.trim();\n};\n` };

/** Publishes a hotpatch for a small package, built and signed by the command, and one whose title is hostile. */
export async function openCatalog(t: TestContext): Promise<{ shop: Shop; hotpatchId: string }> {
  const desk = await openDesk(t);
  const [old, fixed] = [path.join(desk.folder, "old"), path.join(desk.folder, "fixed")];
  writePackage(old, before, { name: "sanitise", version: "1.4.0" });
  writePackage(fixed, after, { name: "sanitise", version: "1.4.1" });
  const file = path.join(desk.folder, "sanitise.hotpatch");
  const words = ["--to", fixed, "-o", file, "--key", desk.key, "--advisory", "CVE-2026-1234:high"];
  const built = await desk.say("build", "npm", old, ...words);
  assert.equal(built.code, 0, built.error);
  const bytes = readFileSync(file);
  const opened = openHotpatch(bytes, await loadTrustStore(path.join(desk.folder, "trusted")), { allowUnsigned: false });
  const shop = openShop(t);
  await shop.init();
  await stageHotpatch(shop.repository, bytes, opened, { dryRun: false });
  await stageHostile(shop);
  await shop.publish();
  return { shop, hotpatchId: opened.hotpatch.manifest.id };
}

async function stageHostile(shop: Shop): Promise<void> {
  const author = newKey();
  const { manifest, payloads } = sampleHotpatch();
  const bytes = encodeHotpatch({ manifest: { ...manifest, id: "hostile", title: hostile }, payloads }, [author.signer]);
  const opened = openHotpatch(bytes, trusting(author), { allowUnsigned: false });
  await stageHotpatch(shop.repository, bytes, opened, { dryRun: false });
}

export interface Machine {
  readonly id: string;
  ask(address: string, ask?: Ask): Promise<Answer>;
  actions(): Promise<readonly Action[]>;
  /** Reports these steps of an action, one after the other. */
  report(action: Pick<Action, "id">, events: readonly string[], reason?: string): Promise<void>;
}

export const wholeWay = [
  ...["fetch-started", "fetch-done", "plan-done", "apply-started"],
  ...["apply-done", "verify-started", "verify-done"],
];

/** With what a person and a machine ask of it. */
export class PageServer extends ServerProcess {
  async signInLink(): Promise<string> {
    return (await ask(this.state, "makeSignInLink")).link;
  }

  async enrol(name: string, facts: Record<string, unknown> = {}): Promise<Machine> {
    const { token } = await ask(this.state, "makeToken", { body: {} });
    const { certificate: ca } = await ask(this.state, "authority");
    const { key, request } = await certificateRequest();
    const say = (address: string, given: Ask) => exchange(new URL(address, this.address), { ...given, ca });
    const enrolment = { token, name, certificateRequest: request };
    const enrolled = await say("/v1/enrol", { method: "POST", body: enrolment });
    assert.equal(enrolled.status, 201, enrolled.text);
    const tls = { key, cert: enrolled.body.certificate };
    const machine = machineOf(enrolled.body.deviceId, (address, given = {}) => say(address, { ...given, tls }));
    const told = await machine.ask("/v1/agent/facts", { method: "PATCH", body: { base: 0, changes: facts } });
    assert.equal(told.status, 200, told.text);
    return machine;
  }
}

function machineOf(id: string, say: Machine["ask"]): Machine {
  let reports = 0;
  return {
    id,
    ask: say,
    async actions() {
      const { status, body, text } = await say("/v1/agent/actions?waitMs=0");
      assert.equal(status, 200, text);
      return (body as Assignment).actions;
    },
    async report(action, events, reason) {
      for (const event of events) {
        reports += 1;
        const told = { key: `report-${reports}-${"0".repeat(16)}`, actionId: action.id, event };
        const body = reason === undefined ? told : { ...told, reason };
        const { status, text } = await say("/v1/agent/reports", { method: "POST", body });
        assert.equal(status, 200, text);
      }
    },
  };
}

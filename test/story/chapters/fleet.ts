/** The fleet comes: machines enrol, tell what they are, and groups find them by it. */
import assert from "node:assert/strict";
import { askAll, pageQuery } from "../../../src/cli/server-client.ts";
import type { Rehearsal } from "../rehearsal.ts";
import { inTurn, tellFacts } from "../support/simulated-fleet.ts";

/** What each device tells; every tenth is of another kind. */
export const facts = {
  "os.id": "debian",
  "os.version": "12",
  "cpu.architecture": "x86_64",
  "kernel.release": "6.1.0-26-amd64",
  packages: { libexpat1: "2.5.0-1" },
};
export const testDevices = 5;

export async function enrol(story: Rehearsal): Promise<void> {
  story.chapter("Enrolment");
  for (const id of ["test", "web"]) await story.ask("makeGroup", { body: { id } });
  const webDevices = Math.floor(story.size / 4);
  for (let count = 0; count < story.size; count++) {
    const group = count < testDevices ? "test" : count < testDevices + webDevices ? "web" : undefined;
    await story.enrol(`device-${String(count).padStart(3, "0")}`, group);
  }
  const enrolled = await askAll((cursor) => story.ask("listDevices", pageQuery(cursor)));
  assert.equal(enrolled.length, story.size);
  story.tell(
    `${story.size} devices are enrolled, each with a certificate: ${testDevices} in test, ${webDevices} in web`,
  );
}

export async function inventory(story: Rehearsal): Promise<void> {
  story.chapter("Inventory");
  await inTurn(story.devices, async (device) => {
    const odd = story.devices.indexOf(device) % 10 === 9;
    await tellFacts(device, { ...facts, ...(odd ? { "os.version": "11" } : {}) });
  });
  await story.ask("makeGroup", { body: { id: "bookworm", filter: 'os.version == "12"' } });
  const query = (cursor: string | undefined) => ({ query: { ...pageQuery(cursor).query, group: "bookworm" } });
  const found = await askAll((cursor) => story.ask("listDevices", query(cursor)));
  const expected = story.size - Math.floor(story.size / 10);
  assert.equal(found.length, expected);
  story.tell(`all told their facts; the dynamic group bookworm found ${expected} of ${story.size}`);
}

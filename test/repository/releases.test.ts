/** Releases: what publishers say of hotpatches, baselines, and what was withdrawn. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { RefusalError } from "../../src/base/refusal.ts";
import type { Baseline } from "../../src/repository/baseline.ts";
import { ratingProblem } from "../../src/repository/cvss.ts";
import { checkRelease, silentRelease } from "../../src/repository/release-facts.ts";
import { refusalOfAsync } from "../hotpatch/support/sample.ts";
import { assertRefusal, ids, openShop } from "./support/shop.ts";

const october: Baseline = {
  schema: "rebootless.baseline/1",
  id: "debian-12-2026-10",
  title: "Debian 12, October 2026",
  system: { id: "debian", version: "12" },
  unplanned: false,
  requires: { packages: { libexpat1: "2.5.0-1+deb12u1" }, kernel: "6.1.0-26" },
  advisories: [{ id: "CVE-2026-1111", severity: "high" }],
  supersedes: [],
  release: { ...silentRelease("2026-10"), channel: "standard", restart: "required" },
};

test("what a publisher says travels with the list, and a preview becomes general without another file", async (t) => {
  const shop = openShop(t);
  await shop.init();
  const cvss = { vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", score: "9.8" };
  const ratings = [{ id: "CVE-2026-0001", severity: "critical", cvss, exploited: true }] as const;
  await shop.add("one", 1, {
    ...silentRelease("2026-11"),
    stage: "preview",
    baseline: october.id,
    ratings: [...ratings],
  });
  await shop.addBaseline(october);
  await shop.publish();
  const client = shop.client("machine");
  const listing = await client.listing();
  assert.deepEqual(
    listing.baselines.map(({ baseline }) => baseline),
    [october],
  );
  assert.deepEqual(listing.hotpatches[0]?.facts?.release, {
    ...silentRelease("2026-11"),
    ...{ stage: "preview", baseline: october.id, ratings },
  });
  await shop.stage("one", "general");
  const later = await client.listing();
  assert.equal(later.hotpatches[0]?.facts?.release?.stage, "general");
  assert.deepEqual(later.hotpatches[0]?.facts?.release?.ratings, ratings);
  assert.equal(later.hotpatches[0]?.sha256, listing.hotpatches[0]?.sha256);
  assert.ok(later.version > listing.version);
  await shop.stage(october.id, "expanded");
  assert.equal((await client.listing()).baselines[0]?.baseline.release.stage, "expanded");
  assert.equal(
    await shop.addBaseline({ ...october, release: { ...october.release, stage: "expanded" } }),
    "published-before",
  );
  const other = { ...october, requires: { kernel: "6.1.0-30" } };
  assertRefusal(await refusalOfAsync(() => shop.addBaseline(other)), "repository/id-taken", /other contents/);
});

test("what is withdrawn cannot be had by any client, says why, and never comes back", async (t) => {
  const shop = openShop(t);
  await shop.init();
  await shop.addBaseline(october);
  await shop.publish("bad", "good");
  const before = shop.client("follows");
  assert.deepEqual(ids(await before.hotpatches()), ["bad", "good"]);
  const old = shop.mirror("old");
  await shop.withdraw("bad", "It breaks comments.");
  await shop.withdraw(october.id, "The kernel does not boot on some machines.");
  const client = shop.client("newcomer");
  const { hotpatches, baselines, withdrawn } = await client.listing();
  assert.deepEqual(ids([...hotpatches]), ["good"]);
  assert.deepEqual(baselines, []);
  assert.deepEqual(
    withdrawn.map(({ kind, id, reason }) => [kind, id, reason]),
    [
      ["baseline", october.id, "The kernel does not boot on some machines."],
      ["hotpatch", "bad", "It breaks comments."],
    ],
  );
  const file = path.join(shop.folder, "bad.hotpatch");
  assertRefusal(await refusalOfAsync(() => client.download("bad", file)), "catalog/withdrawn", /It breaks comments/);
  assert.equal(await shop.plainClient("plain", "bad"), undefined);
  assert.ok(await shop.plainClient("plain", "good"));
  assertRefusal(await refusalOfAsync(() => shop.add("bad")), "repository/withdrawn", /another id/);
  assertRefusal(await refusalOfAsync(() => shop.withdraw("bad", "again")), "repository/withdrawn", /It breaks/);
  assertRefusal(await refusalOfAsync(() => shop.withdraw("never", "?")), "repository/not-published", /never/);
  // Who has seen the withdrawal is not led back; a machine that was never shown it is a withheld one, until the timestamp ends.
  await before.refresh();
  const replayed = shop.client("follows", old);
  assertRefusal(await refusalOfAsync(() => replayed.download("bad", file)), "catalog/rollback", /older/);
});

test("who serves the catalog can hold a withdrawal back until the timestamp runs out, and can neither undo it nor make one", async (t) => {
  const shop = openShop(t);
  const present = shop.now;
  shop.now = new Date(present.getTime() - 8 * 86_400_000);
  await shop.init();
  await shop.publish("bad");
  const old = shop.mirror("old");
  shop.now = present;
  await shop.withdraw("bad", "It breaks comments.");
  const file = path.join(shop.folder, "bad.hotpatch");
  const held = shop.client("held back", old);
  assertRefusal(await refusalOfAsync(() => held.download("bad", file)), "catalog/frozen", /./);
  // The list from before, under the name of the new one; and a note that nobody signed.
  const names = readdirSync(shop.repository.metadataFolder).filter((name) => name.endsWith(".publishers.json"));
  const [before = "", after = ""] = names
    .toSorted((left, right) => Number.parseInt(left, 10) - Number.parseInt(right, 10))
    .slice(-2);
  const lists = [before, after].map((name) => readFileSync(path.join(shop.repository.metadataFolder, name)));
  const forged = Buffer.from(String(lists[1]).replace("It breaks comments.", "It breaks nothing!!"));
  for (const [number, bytes] of [lists[0], forged].entries()) {
    const lying = shop.mirror(`lying-${number}`);
    writeFileSync(path.join(lying, "metadata", after), bytes ?? "");
    const { code } = await refusalOfAsync(() => shop.client(`client-${number}`, lying).download("bad", file));
    // The list from before is longer than what the snapshot signed, and reading ends there.
    assert.equal(code, number === 0 ? "catalog/too-large" : "catalog/altered");
  }
});

test("a repository from before there were baselines is told how to get them", async (t) => {
  const shop = openShop(t);
  await shop.init();
  const file = path.join(shop.repository.metadataFolder, "1.targets.json");
  assert.match(readFileSync(file, "utf8"), /"baselines\/\*"/);
  assert.ok(readdirSync(path.dirname(shop.repository.hotpatchFolder)).includes("baselines"));
  await shop.renew("targets");
  await shop.addBaseline(october);
  assert.deepEqual(await shop.publish(), [`baselines/${october.id}.baseline`]);
});

describe("a vector and its score", () => {
  const rows: readonly (readonly [vector: string, score: number, problem: RegExp | undefined])[] = [
    ["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, undefined],
    ["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.9, /gives 9\.8, and not 9\.9/],
    ["CVSS:3.0/AV:L/AC:H/PR:L/UI:N/S:U/C:N/I:N/A:H", 4.7, undefined],
    ["CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3, undefined],
    ["AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5, undefined],
    ["CVSS:3.1/AV:N/AC:L", 5, /cannot be read/],
    ["CVSS:3.1/AV:N/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 8.4, /cannot be read/],
    ["CVSS:9.9/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, /cannot be read/],
    ["CVSS:3.1/AV:Q/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, /cannot be read/],
  ];
  for (const [vector, score, problem] of rows) {
    test(`${vector} and ${score}`, () => {
      const found = ratingProblem({ vector, score });
      if (problem === undefined) assert.equal(found, undefined);
      else assert.match(found ?? "", problem);
    });
  }

  test("that do not belong together are not published", () => {
    const cvss = { vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", score: "1.0" };
    const release = { ...silentRelease("2026-11"), ratings: [{ id: "CVE-2026-1", cvss }] };
    const fail = (problem: string): never => {
      throw new RefusalError({ code: "repository/not-published", message: problem });
    };
    assert.throws(() => checkRelease(release, fail), /the rating of CVE-2026-1: its CVSS vector gives 9\.8/);
  });
});

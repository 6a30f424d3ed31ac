/** Any sequence of commands leaves a catalog that machines accept that followed it from the first root, however rarely they looked. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { RefusalError } from "../../src/base/refusal.ts";
import { type RoleName, roles } from "../../src/repository/layout.ts";
import { repositoryStatus } from "../../src/repository/writer/status.ts";
import { fc } from "../support/properties.ts";
import { dieAtStep } from "./support/dying-disk.ts";
import { ids, openShop, type Shop } from "./support/shop.ts";

type Step =
  | { readonly kind: "add" | "publish" | "look" }
  | { readonly kind: "rotate"; readonly role: RoleName }
  | { readonly kind: "renew"; readonly roles: readonly RoleName[] }
  | { readonly kind: "die"; readonly step: number }
  | { readonly kind: "wait"; readonly hours: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Step>({ kind: "add" }, { kind: "publish" }, { kind: "look" }) },
  fc.record({ kind: fc.constant("rotate" as const), role: fc.constantFrom(...roles) }),
  fc.record({ kind: fc.constant("renew" as const), roles: fc.subarray([...roles]) }),
  // The command after it dies at that step of its writing.
  fc.record({ kind: fc.constant("die" as const), step: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant("wait" as const), hours: fc.integer({ min: 1, max: 12 }) }),
);

interface Story {
  readonly shop: Shop;
  readonly published: Set<string>;
  readonly staged: Set<string>;
  count: number;
}

async function take(story: Story, one: Step): Promise<void> {
  const { shop, published, staged } = story;
  switch (one.kind) {
    case "add": {
      story.count += 1;
      const id = `fix-${story.count}`;
      await shop.add(id);
      staged.add(id);
      return;
    }
    case "publish":
      await shop.publish();
      for (const id of staged) published.add(id);
      staged.clear();
      return;
    case "rotate":
      return await shop.rotate(one.role);
    case "renew":
      return await shop.renew(...one.roles);
    case "look":
      assert.deepEqual(ids(await shop.client("often").hotpatches()), [...published].sort());
      return;
    case "wait":
      shop.now = new Date(shop.now.getTime() + one.hours * 3_600_000);
      return;
    case "die":
      return;
  }
}

/** What is staged and published after a death is what the repository says. */
async function catchUp(story: Story): Promise<void> {
  const status = await repositoryStatus(story.shop.repository, story.shop.now);
  story.staged.clear();
  story.published.clear();
  for (const { id } of status.hotpatches) story.published.add(id ?? "");
  for (const id of status.staged) if (!story.published.has(id)) story.staged.add(id);
}

async function run(story: Story, steps: readonly Step[]): Promise<void> {
  let dieAt: number | undefined;
  for (const one of steps) {
    if (one.kind === "die") {
      dieAt = one.step;
      continue;
    }
    const writes = one.kind !== "look" && one.kind !== "wait";
    if (dieAt === undefined || !writes) {
      await take(story, one);
      continue;
    }
    const disk = dieAtStep(dieAt, () => undefined);
    dieAt = undefined;
    try {
      await take(story, one);
    } catch (error) {
      assert.ok(disk.died && !(error instanceof RefusalError), String(error));
    } finally {
      disk.restore();
    }
    if (disk.died) await catchUp(story);
  }
}

test("a catalog stays acceptable, whatever is done and whenever it dies", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const folder = mkdtempSync(path.join(tmpdir(), "rebootless-sequence-"));
      const shop = openShop(t).elsewhere(folder);
      // The writer's clock starts in the past, so that whatever it waits, the clients' present is not before it.
      shop.now = new Date(Date.now() - 144 * 3_600_000);
      const story: Story = { shop, published: new Set(), staged: new Set(), count: 0 };
      try {
        await shop.init();
        await run(story, steps);
        shop.now = new Date();
        await shop.renew("snapshot", "timestamp");
        await shop.publish();
        const expected = [...story.published, ...story.staged].sort();
        assert.deepEqual(ids(await shop.client("often").hotpatches()), expected);
        assert.deepEqual(ids(await shop.client("once").hotpatches()), expected);
        assert.deepEqual((await repositoryStatus(shop.repository, shop.now)).problems, []);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: 60 },
  );
});

/** Whatever is interrupted, and wherever: clients accept the catalog, old or new, and the same command finishes the work. */
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import type { RoleName } from "../../src/repository/layout.ts";
import { Keyring } from "../../src/repository/writer/tuf-keys.ts";
import { checkout, runProgram } from "../cli/run-program.ts";
import { dieAtStep } from "./support/dying-disk.ts";
import { ids, openShop, type Shop } from "./support/shop.ts";

/** Runs `work` again and again, each time in a fresh copy of a prepared shop, dying one step later, until it gets through; answers the number of steps. */
async function dyingEverywhere(
  prepared: Shop,
  work: (shop: Shop) => Promise<unknown>,
  check: (shop: Shop, step: number) => Promise<void>,
): Promise<number> {
  for (let step = 1; ; step++) {
    const shop = copyOf(prepared, `copy-${step}`);
    const disk = dieAtStep(step, () => undefined);
    try {
      await work(shop);
    } catch (error) {
      if (!disk.died) throw error;
    } finally {
      disk.restore();
    }
    if (!disk.died) return step - 1;
    await check(shop, step);
    rmSync(shop.folder, { recursive: true, force: true });
  }
}

function copyOf(prepared: Shop, name: string): Shop {
  const folder = path.join(prepared.folder, name);
  for (const part of ["repo", "keys", "clients"]) {
    cpSync(path.join(prepared.folder, part), path.join(folder, part), { recursive: true });
  }
  return prepared.elsewhere(folder);
}

/** What a machine that followed the catalog before, and one that begins now, see. */
async function seen(shop: Shop): Promise<string[]> {
  const followed = ids(await shop.client("followed").hotpatches());
  const fresh = ids(await shop.client("fresh").hotpatches());
  assert.deepEqual(followed, fresh);
  return followed;
}

async function prepare(shop: Shop): Promise<Shop> {
  await shop.init();
  await shop.publish("fix-1");
  await shop.client("followed").refresh();
  return shop;
}

function noLeftovers(shop: Shop): void {
  const names = readdirSync(shop.repository.folder, { recursive: true }).map(String);
  assert.deepEqual(
    names.filter((name) => name.endsWith(".tmp")),
    [],
  );
}

describe("a command that dies at any step of its writing", () => {
  test("publish", async (t) => {
    const prepared = await prepare(openShop(t));
    await prepared.add("fix-2");
    await prepared.add("fix-3");
    const outcomes = new Set<string>();
    const steps = await dyingEverywhere(
      prepared,
      (shop) => shop.publish(),
      async (shop) => {
        const names = (await seen(shop)).join(" ");
        outcomes.add(names);
        await shop.publish();
        assert.deepEqual(await seen(shop), ["fix-1", "fix-2", "fix-3"]);
        assert.deepEqual(readdirSync(shop.repository.stagedFolder), []);
        noLeftovers(shop);
      },
    );
    assert.deepEqual([...outcomes].sort(), ["fix-1", "fix-1 fix-2 fix-3"]);
    assert.ok(steps > 30, `only ${steps} steps were seen`);
  });

  test("add", async (t) => {
    const prepared = await prepare(openShop(t));
    await dyingEverywhere(
      prepared,
      (shop) => shop.add("fix-2"),
      async (shop) => {
        await shop.add("fix-2");
        await shop.publish();
        assert.deepEqual(await seen(shop), ["fix-1", "fix-2"]);
        noLeftovers(shop);
      },
    );
  });

  test("renew of everything", async (t) => {
    const prepared = await prepare(openShop(t));
    const all: readonly RoleName[] = ["root", "targets", "publishers", "snapshot", "timestamp"];
    const steps = await dyingEverywhere(
      prepared,
      (shop) => shop.renew(...all),
      async (shop) => {
        assert.deepEqual(await seen(shop), ["fix-1"]);
        await shop.renew(...all);
        await shop.publish("fix-2");
        assert.deepEqual(await seen(shop), ["fix-1", "fix-2"]);
      },
    );
    assert.ok(steps > 25, `only ${steps} steps were seen`);
  });

  for (const role of ["root", "targets", "publishers", "snapshot", "timestamp"] as const) {
    test(`rotate-key ${role}`, async (t) => {
      const prepared = await prepare(openShop(t));
      await dyingEverywhere(
        prepared,
        (shop) => shop.rotate(role),
        async (shop) => {
          assert.deepEqual(await seen(shop), ["fix-1"]);
          await shop.rotate(role);
          await shop.publish("fix-2");
          assert.deepEqual(await seen(shop), ["fix-1", "fix-2"]);
        },
      );
    });
  }

  test("rotate-key targets without the old keys: the one time that clients may have to wait for the rest", async (t) => {
    const prepared = await prepare(openShop(t));
    let refused = 0;
    await dyingEverywhere(
      prepared,
      async (shop) => {
        const keyring = await Keyring.open([path.join(shop.keys, "root-1.key")], undefined);
        await shop.rotate("targets", { keyring, oldKeysLost: true });
      },
      async (shop) => {
        await seen(shop).catch((error: unknown) => {
          assert.ok(error instanceof RefusalError && error.refusals[0]?.code === "catalog/key-unknown", String(error));
          refused += 1;
        });
        await shop.renew("targets");
        assert.deepEqual(await seen(shop), ["fix-1"]);
      },
    );
    assert.ok(refused > 0);
  });

  test("init", async (t) => {
    const prepared = openShop(t);
    for (let step = 1; ; step++) {
      const shop = prepared.elsewhere(path.join(prepared.folder, `init-${step}`));
      const disk = dieAtStep(step, () => undefined);
      await shop.init().catch((error: unknown) => assert.ok(disk.died, String(error)));
      disk.restore();
      await shop.init().catch((error: unknown) => {
        // It died after the last file, so nothing was left to do.
        assert.ok(error instanceof RebootlessError && error.code === "repository/exists", String(error));
      });
      await shop.publish("fix-1");
      assert.deepEqual(await seen(shop), ["fix-1"]);
      if (!disk.died) return;
    }
  });

  test("a client", async (t) => {
    const prepared = await prepare(openShop(t));
    await prepared.publish("fix-2");
    await prepared.rotate("root");
    await dyingEverywhere(
      prepared,
      (shop) => shop.client("followed").refresh(),
      async (shop) => assert.deepEqual(await seen(shop), ["fix-1", "fix-2"]),
    );
  });
});

test("publish as a process that is killed at every step", async (t) => {
  const prepared = await prepare(openShop(t));
  await prepared.add("fix-2");
  const preload = path.join(import.meta.dirname, "support", "killed-writer.ts");
  const main = path.join(checkout, "src", "cli", "main.ts");
  const outcomes = new Set<string>();
  for (let step = 1; ; step++) {
    const shop = copyOf(prepared, `killed-${step}`);
    const words = ["repo", "publish", "--repo", shop.repository.folder, "--keys", shop.keys];
    const ended = await runProgram(["--import", preload, main, ...words], { env: { TEST_DIE_AT_STEP: String(step) } });
    if (ended.signal === null) {
      assert.equal(ended.code, 0, ended.error);
      assert.ok(step > 20, `only ${step - 1} steps were seen`);
      break;
    }
    assert.equal(ended.signal, "SIGKILL");
    outcomes.add((await seen(shop)).join(" "));
    await shop.publish();
    assert.deepEqual(await seen(shop), ["fix-1", "fix-2"]);
    rmSync(shop.folder, { recursive: true, force: true });
  }
  assert.deepEqual([...outcomes].sort(), ["fix-1", "fix-1 fix-2"]);
});

test("a file that is served never changes, but for the timestamp", async (t) => {
  const shop = await prepare(openShop(t));
  const first = new Map<string, Buffer>();
  const look = () => {
    for (const name of readdirSync(shop.repository.publicFolder, { recursive: true }).map(String)) {
      if (!/\.(json|hotpatch)$/.test(name) || name.endsWith("timestamp.json")) continue;
      const bytes = readFileSync(path.join(shop.repository.publicFolder, name));
      assert.deepEqual(bytes, first.get(name) ?? bytes, name);
      first.set(name, bytes);
    }
  };
  look();
  for (let step = 1; step < 60; step += 7) {
    await shop.add(`fix-${step + 1}`);
    const disk = dieAtStep(step, () => undefined);
    await shop.publish().catch(() => assert.ok(disk.died));
    disk.restore();
    look();
    await shop.renew("snapshot", "targets");
    look();
  }
});

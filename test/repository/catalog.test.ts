/** A catalog that is in order: what is written, and who accepts it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { generateKey } from "../../src/hotpatch/key.ts";
import { initRepository } from "../../src/repository/writer/init.ts";
import { publish } from "../../src/repository/writer/publish.ts";
import { repositoryStatus } from "../../src/repository/writer/status.ts";
import { Keyring } from "../../src/repository/writer/tuf-keys.ts";
import { refusalOfAsync } from "../hotpatch/support/sample.ts";
import { filesOf, serve } from "./support/mirror-server.ts";
import { hotpatchBytes, ids, openShop } from "./support/shop.ts";

describe("a catalog", () => {
  test("is accepted by tuf-js alone, and gives the bytes that were published", async (t) => {
    const shop = openShop(t);
    await shop.init();
    assert.equal(await shop.plainClient("plain", "fix-1"), undefined);
    await shop.publish("fix-1", "fix-2");
    const expected = readFileSync(
      path.join(shop.repository.hotpatchFolder, hashedName(shop.repository.hotpatchFolder, "fix-1")),
    );
    assert.deepEqual(await shop.plainClient("plain", "fix-1"), expected);
    assert.equal(await shop.plainClient("plain", "fix-9"), undefined);
    await shop.rotate("root");
    await shop.rotate("publishers");
    await shop.publish("fix-9");
    assert.ok(await shop.plainClient("plain", "fix-9"));
  });

  test("tells of each hotpatch what its manifest says", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const [found] = await shop.client("one").hotpatches();
    assert.equal(found?.path, "hotpatches/fix-1.hotpatch");
    assert.equal(found?.sizeBytes, hotpatchBytes("fix-1").length);
    const { facts } = found ?? {};
    assert.equal(facts?.id, "fix-1");
    assert.equal(facts?.sequence, 1);
    assert.equal(facts?.title, "sample 1.0.1");
    assert.deepEqual(facts?.advisories, [{ id: "CVE-2026-0001", severity: "high" }]);
    assert.deepEqual(facts?.target, { kind: "npm", name: "sample", version: "1.0.0", fixedVersion: "1.0.1" });
    assert.match(facts?.digest ?? "", /^[0-9a-f]{64}$/);
  });

  test("is read over HTTP as well, and a hotpatch arrives whole", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const address = await serve(t, filesOf(shop.repository.publicFolder));
    const client = shop.client("web", address);
    assert.deepEqual(ids(await client.hotpatches()), ["fix-1"]);
    const file = path.join(shop.folder, "got.hotpatch");
    await client.download("fix-1", file);
    assert.deepEqual(readFileSync(file), hotpatchBytes("fix-1"));
    const refusal = await refusalOfAsync(() => client.download("fix-7", file));
    assert.equal(refusal.code, "catalog/hotpatch-unknown");
    assert.deepEqual(readFileSync(file), hotpatchBytes("fix-1"));
  });

  test("keeps names with a version before them, digests before targets, and private keys away from what is served", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const names = readdirSync(shop.repository.metadataFolder).sort();
    const expected = ["1.publishers", "1.root", "1.snapshot", "1.targets", "2.publishers", "2.snapshot", "timestamp"];
    assert.deepEqual(
      names,
      expected.map((name) => `${name}.json`),
    );
    assert.match(readdirSync(shop.repository.hotpatchFolder)[0] ?? "", /^[0-9a-f]{64}\.fix-1\.hotpatch$/);
    assert.equal(statSync(shop.repository.privateFolder).mode & 0o777, 0o700);
    for (const name of readdirSync(shop.repository.onlineKeys)) {
      const wanted = name.endsWith(".key") ? 0o600 : 0o644;
      assert.equal(statSync(path.join(shop.repository.onlineKeys, name)).mode & 0o777, wanted);
    }
    assert.deepEqual(readdirSync(shop.repository.stagedFolder), []);
  });

  test("has one id for one content", async (t) => {
    const shop = openShop(t);
    await shop.init();
    assert.equal(await shop.add("fix-1"), "staged");
    assert.equal(await shop.add("fix-1"), "staged-before");
    assert.equal((await refusalOfAsync(() => shop.add("fix-1", 2))).code, "repository/id-taken");
    await shop.publish();
    assert.equal(await shop.add("fix-1"), "published-before");
    assert.equal((await refusalOfAsync(() => shop.add("fix-1", 2))).code, "repository/id-taken");
    assert.deepEqual(await shop.publish(), []);
  });

  test("takes the longest id that it allows, and says so of a longer one", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const id = "x".repeat(160);
    await shop.publish(id);
    assert.deepEqual(await shop.plainClient("plain", id), hotpatchBytes(id));
    await assert.rejects(shop.add(`${id}x`), /has 161 characters; in a catalog it may have 160/);
  });

  test("a trial writes nothing", async (t) => {
    const shop = openShop(t);
    await shop.init({ dryRun: true });
    assert.throws(() => statSync(shop.repository.folder), /ENOENT/);
    await shop.init();
    await shop.add("fix-1");
    const before = shop.mirror("before");
    const outcome = await publish(shop.repository, { now: shop.now, dryRun: true, keyring: await shop.keyring() });
    assert.deepEqual(outcome.published, ["hotpatches/fix-1.hotpatch"]);
    for (const role of ["root", "targets", "publishers", "snapshot", "timestamp"] as const) {
      await shop.rotate(role, { dryRun: true });
    }
    assert.deepEqual(listing(before), listing(shop.repository.publicFolder));
    assert.deepEqual(readdirSync(shop.keys).sort(), sortedKeys(["publishers-1", "root-1", "targets-1"]));
  });
});

describe("keys and thresholds", () => {
  test("as many signatures as the threshold demands, and no fewer keys at the desk", async (t) => {
    const shop = openShop(t);
    const sizes = {
      root: { keys: 3, threshold: 2 },
      targets: { keys: 2, threshold: 2 },
      publishers: { keys: 2, threshold: 2 },
    };
    await shop.init({ sizes });
    assert.equal(JSON.parse(shop.firstRoot().toString()).signatures.length, 3);
    await shop.publish("fix-1");
    assert.ok(await shop.plainClient("plain", "fix-1"));
    const one = await Keyring.open([path.join(shop.keys, "publishers-1.key")], undefined);
    await shop.add("fix-2");
    const options = { now: shop.now, dryRun: false, keyring: one };
    const refusal = await refusalOfAsync(() => publish(shop.repository, options));
    assert.equal(refusal.code, "repository/keys-missing");
    assert.match(refusal.message, /Signing publishers takes 2 of its 2 keys, and 1 are here/);
  });

  test("one key of several is exchanged by its id; the others stay", async (t) => {
    const shop = openShop(t);
    await shop.init({
      sizes: {
        root: { keys: 3, threshold: 2 },
        targets: { keys: 1, threshold: 1 },
        publishers: { keys: 1, threshold: 1 },
      },
    });
    const client = shop.client("one");
    await client.refresh();
    const before = await rootKeys(shop);
    await shop.rotate("root", { replace: [before[1]!.slice(0, 10)] });
    const now = await rootKeys(shop);
    assert.equal(now.length, 3);
    assert.deepEqual(
      before.filter((keyId) => !now.includes(keyId)),
      [before[1]],
    );
    assert.equal((await client.refresh()).root, 2);
    await assert.rejects(shop.rotate("root", { replace: ["00000000"] }), /is not the beginning/);
    await assert.rejects(shop.rotate("root", { threshold: 4 }), /threshold of 4 does not fit/);
  });

  test("somebody else may publish, whose private key never was here", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const bob = await generateKey(path.join(shop.folder, "bob", "bob.key"), undefined);
    await shop.rotate("publishers", { keep: true, newKeys: [bob.publicFile] });
    const { roles } = await repositoryStatus(shop.repository, shop.now);
    assert.equal(roles.find(({ role }) => role === "publishers")?.keys.length, 2);
    await shop.add("fix-1");
    const keyring = await Keyring.open([bob.privateFile], undefined);
    await publish(shop.repository, { now: shop.now, dryRun: false, keyring });
    assert.deepEqual(ids(await shop.client("one").hotpatches()), ["fix-1"]);
    await shop.rotate("publishers", {
      replace: [bob.keyId.slice(0, 8)],
      newKeys: [path.join(shop.keys, "root-1.key")],
    });
    await shop.add("fix-2");
    const refusal = await refusalOfAsync(() => publish(shop.repository, { now: shop.now, dryRun: false, keyring }));
    assert.equal(refusal.code, "repository/keys-missing");
    const public2 = await refusalOfAsync(() => shop.rotate("root", { newKeys: [bob.publicFile] }));
    assert.match(public2.message, /new threshold of root is 1, and 0 of its keys are here/);
  });

  test("existing keys are taken, encrypted ones with their passphrase", async (t) => {
    const shop = openShop(t);
    await shop.init({ passphrase: "correct horse battery staple" });
    const other = openShop(t);
    await initRepository(other.repository, {
      now: other.now,
      dryRun: false,
      keyFolder: shop.keys,
      passphrase: "correct horse battery staple",
      sizes: { root: one, targets: one, publishers: one },
      publisherKeys: [],
      expiryDays: { root: 10, targets: 10, publishers: 10, snapshot: 10, timestamp: 10 },
    });
    const [mine, yours] = [await rootKeys(shop), await rootKeys(other)];
    assert.deepEqual(mine, yours);
    await assert.rejects(shop.publish("fix-1"), /is encrypted/);
  });

  test("lost targets keys are replaced through the root, and the rest can be caught up", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const client = shop.client("one");
    await client.refresh();
    const keyring = await Keyring.open([path.join(shop.keys, "root-1.key")], undefined);
    assert.equal((await refusalOfAsync(() => shop.rotate("targets", { keyring }))).code, "repository/keys-missing");
    await shop.rotate("targets", { keyring, oldKeysLost: true });
    assert.equal((await client.refresh()).root, 2);
  });
});

describe("status", () => {
  test("tells what is valid, what will soon not be, and what has expired", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    await shop.add("fix-2");
    const at = (days: number) => repositoryStatus(shop.repository, new Date(shop.now.getTime() + days * 86_400_000));
    const well = await at(0);
    assert.deepEqual(well.problems, []);
    assert.deepEqual(well.staged, ["fix-2"]);
    assert.deepEqual(
      well.hotpatches.map(({ id }) => id),
      ["fix-1"],
    );
    const soon = await at(5);
    assert.match(soon.problems.join("\n"), /^timestamp expires in 1\.\d days, on .*repo renew timestamp\.$/);
    const late = await at(100);
    assert.match(late.problems.join("\n"), /publishers expired on .*--keys FOLDER/);
    assert.equal(late.roles.find(({ role }) => role === "root")?.validity, "valid");
    assert.equal(late.roles.find(({ role }) => role === "snapshot")?.validity, "expired");
  });

  test("nothing is published that nobody would accept", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.add("fix-1");
    shop.now = new Date(shop.now.getTime() + 400 * 86_400_000);
    const refusal = await refusalOfAsync(() => shop.publish());
    assert.equal(refusal.code, "repository/expired");
    assert.match(refusal.message, /^root expired on .*repo renew root/);
    await shop.renew("root", "targets");
    assert.deepEqual(await shop.publish(), ["hotpatches/fix-1.hotpatch"]);
  });
});

describe("damage", () => {
  test("of a repository is named by its file, and never called a bug", async (t) => {
    const rows: readonly [name: string, bytes: string | undefined, words: RegExp][] = [
      ["1.snapshot.json", undefined, /"[^"]*1\.snapshot\.json" is missing/],
      ["1.publishers.json", "{}", /is not the file that was published under this name/],
      ["timestamp.json", "{", /is not TUF metadata/],
      ["1.root.json", "[]", /is not TUF metadata/],
      ["timestamp.json", undefined, /holds no finished repository; run `rebootless repo init` again/],
    ];
    for (const [name, bytes, words] of rows) {
      const shop = openShop(t);
      await shop.init();
      const file = path.join(shop.repository.metadataFolder, name);
      if (bytes === undefined) rmSync(file);
      else writeFileSync(file, bytes);
      for (const work of [() => repositoryStatus(shop.repository, shop.now), () => shop.publish()]) {
        await assert.rejects(work, (error) => {
          assert.ok(error instanceof RebootlessError, String(error));
          assert.match(error.code, /^repository\/(damaged|missing)$/);
          assert.match(error.message, words);
          return true;
        });
      }
    }
  });

  test("of what a machine keeps: the root must be brought again, the rest is fetched anew", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const client = shop.client("one");
    await client.hotpatches();
    const trusted = path.join(shop.folder, "clients", "one", "trusted");
    for (const name of ["timestamp.json", "snapshot.json", "targets.json", "publishers.json", "stale.json"]) {
      writeFileSync(path.join(trusted, name), "{");
    }
    assert.deepEqual(ids(await client.hotpatches()), ["fix-1"]);
    writeFileSync(path.join(trusted, "root.json"), "{");
    await assert.rejects(client.refresh(), (error) => {
      assert.ok(error instanceof RebootlessError);
      assert.equal(error.code, "failure/catalog-state");
      return true;
    });
  });
});

const one = { keys: 1, threshold: 1 };

async function rootKeys(shop: ReturnType<typeof openShop>): Promise<readonly string[]> {
  const { roles } = await repositoryStatus(shop.repository, shop.now);
  return roles.find(({ role }) => role === "root")?.keys ?? [];
}

function hashedName(folder: string, id: string): string {
  return readdirSync(folder).find((name) => name.endsWith(`.${id}.hotpatch`)) ?? "";
}

function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

function sortedKeys(names: readonly string[]): string[] {
  return names.flatMap((name) => [`${name}.key`, `${name}.pub`]).sort();
}

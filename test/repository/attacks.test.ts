/** Attacks of the TUF specification (section 1.5.2), each refused with a code and words of its own. */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { trialSigner } from "../../src/repository/writer/init.ts";
import { type Json, readRole, signRole } from "../../src/repository/writer/metadata.ts";
import { refusalOfAsync } from "../hotpatch/support/sample.ts";
import { assertRefusal, ids, openShop, refusalOfRefresh, type Shop } from "./support/shop.ts";

const dayMs = 86_400_000;

function fileOf(mirror: string, name: string): string {
  return path.join(mirror, "metadata", name);
}

function change(file: string, edit: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(file);
  writeFileSync(file, edit(bytes) ?? bytes);
}

/** Flips the lowest bit of the byte in the middle of the first place where `text` stands. */
function flipIn(file: string, text: string): void {
  change(file, (bytes) => {
    const at = bytes.indexOf(text);
    assert.ok(at >= 0, `${text} is not in ${file}`);
    bytes[at + text.length - 1]! ^= 1;
    return bytes;
  });
}

describe("old metadata played again", () => {
  test("an older timestamp", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const old = shop.mirror("old");
    await shop.publish("fix-1");
    const client = shop.client("one");
    await client.refresh();
    assertRefusal(
      await refusalOfRefresh(shop.client("one", old)),
      "catalog/rollback",
      /old one played again: version 1 is older than 2/,
    );
    assert.equal((await client.refresh()).timestamp, 2);
  });

  test("an older snapshot under a newer timestamp, by the holder of the timestamp key", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const old = readRole("timestamp", readFileSync(path.join(shop.repository.metadataFolder, "timestamp.json")));
    await shop.publish("fix-1");
    await shop.client("one").refresh();
    const mirror = shop.mirror("mirror");
    await resign(shop, fileOf(mirror, "timestamp.json"), { ...old.json, version: 9 });
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/rollback",
      /goes back from snapshot version 2 to 1/,
    );
  });

  test("an older root in the place of the next", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.rotate("root");
    const mirror = shop.mirror("mirror");
    copyFileSync(fileOf(mirror, "1.root.json"), fileOf(mirror, "2.root.json"));
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/rollback",
      /root version 1, and version 2 comes next/,
    );
  });
});

describe("a catalog that stands still", () => {
  test("is refused once its timestamp has run out", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const frozen = shop.mirror("frozen");
    const client = shop.client("one", frozen);
    await client.refresh();
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 8 * dayMs });
    assertRefusal(await refusalOfRefresh(client), "catalog/frozen", /stands still.*version 2.*\(freeze\)/);
    t.mock.timers.reset();
    assert.equal((await client.refresh()).timestamp, 2);
  });
});

describe("files of different times put together", () => {
  test("an older snapshot under a newer name", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.renew("snapshot");
    const mirror = shop.mirror("mirror");
    copyFileSync(fileOf(mirror, "1.snapshot.json"), fileOf(mirror, "2.snapshot.json"));
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/mixed",
      /"2\.snapshot\.json" is genuine but of another time than timestamp\.json/,
    );
  });

  test("an older list of publishers under a newer name", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    await shop.publish("fix-2");
    const mirror = shop.mirror("mirror");
    copyFileSync(fileOf(mirror, "2.publishers.json"), fileOf(mirror, "3.publishers.json"));
    const client = shop.client("one", mirror);
    const refusal = await refusalOfAsync(() => client.hotpatches());
    assertRefusal(refusal, "catalog/mixed", /"3\.publishers\.json" is genuine but of another time than the snapshot/);
  });
});

describe("signatures", () => {
  test("of an unknown key", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const mirror = shop.mirror("mirror");
    change(
      fileOf(mirror, "timestamp.json"),
      (bytes) => signRole("timestamp", readRole("timestamp", bytes).json, [trialSigner()]).bytes,
    );
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/key-unknown",
      /no right to sign timestamp.*Someone else wrote it/,
    );
  });

  test("of a key that has been rotated away", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const before = shop.mirror("before");
    await shop.rotate("timestamp");
    await shop.renew();
    const mirror = shop.mirror("mirror");
    copyFileSync(fileOf(before, "timestamp.json"), fileOf(mirror, "timestamp.json"));
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/key-unknown",
      /no right to sign timestamp/,
    );
  });

  test("of a publisher over what is not his", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const mirror = shop.mirror("mirror");
    const { Keyring } = await import("../../src/repository/writer/tuf-keys.ts");
    const { roleKeys, readState } = await import("../../src/repository/writer/catalog-state.ts");
    const { keyids } = roleKeys(await readState(shop.repository), "publishers");
    const signers = await (await Keyring.open([shop.keys], undefined)).signers(keyids);
    change(
      fileOf(mirror, "timestamp.json"),
      (bytes) => signRole("timestamp", readRole("timestamp", bytes).json, signers).bytes,
    );
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/key-unknown",
      /no right to sign timestamp/,
    );
  });

  test("too few, of a root that takes two", async (t) => {
    const shop = openShop(t);
    const one = { keys: 1, threshold: 1 };
    await shop.init({ sizes: { root: { keys: 2, threshold: 2 }, targets: one, publishers: one } });
    const client = shop.client("one");
    await client.refresh();
    await shop.rotate("root");
    const mirror = shop.mirror("mirror");
    change(fileOf(mirror, "2.root.json"), (bytes) => {
      const root = JSON.parse(bytes.toString());
      const old = JSON.parse(shop.firstRoot().toString()).signed.roles.root.keyids[0];
      root.signatures = root.signatures.filter(({ keyid }: { keyid: string }) => keyid !== old);
      return Buffer.from(JSON.stringify(root));
    });
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/too-few-signatures",
      /has 1 of the 2 signatures that root needs/,
    );
  });

  test("none at all", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const mirror = shop.mirror("mirror");
    change(
      fileOf(mirror, "timestamp.json"),
      (bytes) => signRole("timestamp", readRole("timestamp", bytes).json, []).bytes,
    );
    assertRefusal(
      await refusalOfRefresh(shop.client("one", mirror)),
      "catalog/too-few-signatures",
      /has 0 of the 1 signatures/,
    );
  });
});

describe("expiry", () => {
  const rows = [
    ["root", { root: 1 }, /catalog's root \(version 1\) expired/],
    ["targets", { targets: 1 }, /catalog's targets \(version 1\) expired/],
    ["snapshot", { snapshot: 1 }, /catalog's snapshot \(version 1\) expired/],
    ["publishers", { publishers: 1 }, /catalog's publishers \(version 1\) expired/],
  ] as const;
  for (const [role, days, words] of rows) {
    test(`of ${role}`, async (t) => {
      const shop = openShop(t);
      shop.now = new Date(Date.now() - 2 * dayMs);
      const long = { root: 99, targets: 99, publishers: 99, snapshot: 99, timestamp: 99 };
      await shop.init({ expiryDays: { ...long, ...days } });
      const refusal = await refusalOfAsync(() => shop.client("one").hotpatches());
      assertRefusal(refusal, "catalog/expired", words);
      assert.match(refusal.message, new RegExp(`repo renew ${role}`));
    });
  }
});

describe("bytes that were changed", () => {
  test("in a signed statement", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const rows: readonly [file: string, text: string, words: RegExp][] = [
      ["timestamp.json", '"expires":"20', /signature by the key .* does not fit/],
      ["2.snapshot.json", '"expires":"20', /bytes are not those that timestamp\.json names/],
      ["1.targets.json", '"expires":"20', /bytes are not those that the snapshot names/],
      ["2.publishers.json", '"sequence":1', /bytes are not those that the snapshot names/],
    ];
    for (const [file, text, words] of rows) {
      const mirror = shop.mirror("mirror");
      flipIn(fileOf(mirror, file), text);
      const refusal = await refusalOfAsync(() => shop.client(`for-${file}`, mirror).hotpatches());
      assertRefusal(refusal, "catalog/altered", words);
      assert.ok(refusal.message.includes(file));
    }
  });

  test("any one byte, in any file of the catalog", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    await shop.rotate("root");
    const good = shop.mirror("good");
    for (const file of ["2.root.json", "timestamp.json", "2.snapshot.json", "1.targets.json", "2.publishers.json"]) {
      const bytes = readFileSync(fileOf(good, file));
      for (let at = 0; at < bytes.length; at += 1 + Math.floor(bytes.length / 40)) {
        for (const bit of [0x01, 0x20]) {
          const bent = Buffer.from(bytes);
          bent[at]! ^= bit;
          writeFileSync(fileOf(good, file), bent);
          const refusal = await refusalOfAsync(() => shop.client(`at-${file}-${at}-${bit}`, good).hotpatches());
          assert.match(refusal.code, /^catalog\/(altered|key-unknown|metadata-invalid|too-few-signatures|rollback)$/);
        }
      }
      writeFileSync(fileOf(good, file), bytes);
    }
    assert.deepEqual(ids(await shop.client("last", good).hotpatches()), ["fix-1"]);
  });

  test("in a hotpatch", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const mirror = shop.mirror("mirror");
    const file = hotpatchIn(mirror, shop);
    change(file, (bytes) => {
      bytes[bytes.length - 1]! ^= 1;
      return bytes;
    });
    const out = path.join(shop.folder, "out.hotpatch");
    const download = () => refusalOfAsync(() => shop.client("one", mirror).download("fix-1", out));
    assertRefusal(await download(), "catalog/altered", /"hotpatches\/fix-1\.hotpatch" was changed/);
    truncateSync(file, 10);
    assertRefusal(await download(), "catalog/altered", /was changed on the way/);
    rmSync(file);
    assertRefusal(await download(), "catalog/incomplete", /has no "hotpatches\/fix-1\.hotpatch"/);
    assert.throws(() => readFileSync(out), /ENOENT/);
  });
});

describe("a catalog with a hole", () => {
  test("names the file that is not there", async (t) => {
    const shop = openShop(t);
    await shop.init();
    for (const file of ["1.snapshot.json", "1.targets.json", "1.publishers.json"]) {
      const mirror = shop.mirror("mirror");
      rmSync(fileOf(mirror, file));
      const refusal = await refusalOfAsync(() => shop.client(`for-${file}`, mirror).hotpatches());
      assertRefusal(refusal, "catalog/incomplete", new RegExp(`has no "metadata/${file}"`));
    }
  });

  test("a machine that knows no root is told to get one", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const { CatalogClient, catalogAddress } = await import("../../src/repository/client/catalog-client.ts");
    const client = new CatalogClient({
      address: catalogAddress(shop.repository.publicFolder, "/"),
      stateFolder: path.join(shop.folder, "fresh"),
    });
    assertRefusal(await refusalOfRefresh(client), "catalog/no-root", /name it with --root/);
  });

  test("a wrong first root does not stick", async (t) => {
    const [shop, other] = [openShop(t), openShop(t)];
    await shop.init();
    await other.init();
    const { CatalogClient, catalogAddress } = await import("../../src/repository/client/catalog-client.ts");
    const from = (firstRoot: Buffer) =>
      new CatalogClient({
        address: catalogAddress(shop.repository.publicFolder, "/"),
        stateFolder: path.join(shop.folder, "state"),
        firstRoot,
      });
    assertRefusal(await refusalOfRefresh(from(other.firstRoot())), "catalog/key-unknown", /no right to sign timestamp/);
    assert.equal((await from(shop.firstRoot()).refresh()).root, 1);
  });
});

/** Signs a statement with the timestamp key of the repository, as a thief of that key would. */
async function resign(shop: Shop, file: string, json: Json): Promise<void> {
  const { Keyring } = await import("../../src/repository/writer/tuf-keys.ts");
  const { roleKeys, readState } = await import("../../src/repository/writer/catalog-state.ts");
  const { keyids } = roleKeys(await readState(shop.repository), "timestamp");
  const signers = await (await Keyring.open([shop.repository.onlineKeys], undefined)).signers(keyids);
  writeFileSync(file, signRole("timestamp", json, signers).bytes);
}

function hotpatchIn(mirror: string, shop: Shop): string {
  const [target] = Object.values(
    JSON.parse(readFileSync(path.join(shop.repository.metadataFolder, "2.publishers.json"), "utf8")).signed.targets,
  ) as { hashes: { sha256: string } }[];
  return path.join(mirror, "targets", "hotpatches", `${target?.hashes.sha256}.fix-1.hotpatch`);
}

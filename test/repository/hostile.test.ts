/** A server that is out to harm: endless and slow files, deep and huge JSON, odd spellings. Each ends soon, with words of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import path from "node:path";
import { describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import { refusalOfAsync } from "../hotpatch/support/sample.ts";
import { fc } from "../support/properties.ts";
import { filesOf, serve } from "./support/mirror-server.ts";
import { assertRefusal, openShop, refusalOfRefresh } from "./support/shop.ts";

/** Sends bytes for as long as somebody takes them; answers how many were sent when the other side went away. */
function endless(response: ServerResponse): Promise<number> {
  const piece = Buffer.alloc(64 * 1024, "[");
  let sentBytes = 0;
  return new Promise((resolve) => {
    const more = () => {
      while (!response.destroyed && response.write(piece)) sentBytes += piece.length;
      if (!response.destroyed) response.once("drain", more);
    };
    response.once("close", () => resolve(sentBytes));
    more();
  });
}

describe("a file without an end", () => {
  for (const name of ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]) {
    test(`as metadata/${name}`, async (t) => {
      const shop = openShop(t);
      await shop.init();
      let sent: Promise<number> | undefined;
      const address = await serve(
        t,
        filesOf(shop.repository.publicFolder, (asked, _request, response) => {
          if (asked !== `metadata/${name}`) return false;
          sent = endless(response);
          return true;
        }),
      );
      const refusal = await refusalOfRefresh(shop.client("one", address));
      assertRefusal(
        refusal,
        "catalog/too-large",
        new RegExp(`"metadata/${name}" goes on after the \\d+ bytes.*endless data`),
      );
      assert.ok((await sent)! < 64 * 1024 * 1024, "the connection was left open");
    });
  }

  test("as a hotpatch", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.publish("fix-1");
    const address = await serve(
      t,
      filesOf(shop.repository.publicFolder, (asked, _request, response) => {
        if (!asked.startsWith("targets/")) return false;
        void endless(response);
        return true;
      }),
    );
    const out = path.join(shop.folder, "out.hotpatch");
    const refusal = await refusalOfAsync(() => shop.client("one", address).download("fix-1", out));
    assertRefusal(refusal, "catalog/too-large", /hotpatch" goes on after the \d+ bytes/);
    assert.throws(() => readFileSync(out), /ENOENT/);
  });

  test("in a folder: a pipe is refused without waiting for it, and so is a file that is too long", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const mirror = shop.mirror("mirror");
    const file = path.join(mirror, "metadata", "2.root.json");
    assert.equal(spawnSync("mkfifo", [file]).status, 0);
    await assert.rejects(shop.client("one", mirror).refresh(), (error) => {
      assert.ok(error instanceof RebootlessError);
      assert.equal(error.code, "failure/catalog-unreachable");
      assert.match(error.message, /not a regular file/);
      return true;
    });
    const long = shop.mirror("long");
    writeFileSync(path.join(long, "metadata", "timestamp.json"), "[".repeat(20_000));
    assertRefusal(await refusalOfRefresh(shop.client("one", long)), "catalog/too-large", /after the 16384 bytes/);
  });
});

describe("a server that is slow on purpose", () => {
  const limits = { silenceMs: 150, metadataMs: 500 };

  test("that says nothing", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const address = await serve(t, () => undefined);
    assertRefusal(
      await refusalOfRefresh(shop.client("one", address, limits)),
      "catalog/too-slow",
      /sent nothing for 150 ms/,
    );
  });

  test("that sends a byte now and then", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const address = await serve(t, (_request, response) => {
      const timer = setInterval(() => response.write(" "), 50);
      response.once("close", () => clearInterval(timer));
    });
    const refusal = await refusalOfRefresh(shop.client("one", address, limits));
    assertRefusal(refusal, "catalog/too-slow", /did not finish within the time.*slow retrieval/);
  });

  test("that is broken or away is a failure, not an attack", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const broken = await serve(t, (_request, response) => response.writeHead(500).end());
    const rows: readonly [string, RegExp][] = [
      [broken, /the server answers 500/],
      ["http://127.0.0.1:1/", /cannot be reached at .*(ECONNREFUSED|bad port|connection failed)/],
      [path.join(shop.folder, "nowhere"), /no such file/],
    ];
    for (const [address, words] of rows) {
      await assert.rejects(shop.client("one", address).refresh(), (error) => {
        assert.ok(error instanceof RebootlessError, String(error));
        assert.equal(error.code, "failure/catalog-unreachable");
        assert.match(error.message, words);
        return true;
      });
    }
  });
});

describe("metadata that is built to harm", () => {
  const rows: readonly [what: string, text: (good: string) => string, words: RegExp][] = [
    ["nested deeply", () => "[".repeat(15_000), /nested deeper than 16/],
    [
      "nested deeply inside an object",
      (good) => good.replace(/\}$/, `,"x":${"[".repeat(99)}${"]".repeat(99)}}`),
      /nested deeper/,
    ],
    ["no JSON", () => "\u0000\u0001", /not JSON/],
    ["empty", () => "", /not JSON/],
    ["null", () => "null", /no list of signatures/],
    ["without signatures", () => '{"signed":{}}', /no list of signatures/],
    ["of another kind", (good) => good.replace('"timestamp"', '"snapshot"'), /not metadata of the kind/],
    [
      "with a signature in capitals",
      (good) => good.replace(/"sig":"[0-9a-f]+"/, (sig) => sig.toUpperCase().replace("SIG", "sig")),
      /lower-case/,
    ],
    ["with a version that is no number", (good) => good.replace(/"version":1\}\}/, '"version":"1"}}'), /./],
    ["of a version of TUF to come", (good) => good.replace('"1.0.31"', '"2.0.0"'), /not metadata of the kind/],
  ];
  for (const [what, bend, words] of rows) {
    test(what, async (t) => {
      const shop = openShop(t);
      await shop.init();
      const mirror = shop.mirror("mirror");
      const file = path.join(mirror, "metadata", "timestamp.json");
      writeFileSync(file, bend(readFileSync(file, "utf8")));
      const refusal = await refusalOfRefresh(shop.client("one", mirror));
      assert.match(refusal.code, /^catalog\/(metadata-invalid|altered)$/);
      assert.match(refusal.message, words);
    });
  }

  test("a snapshot that leaves out the publishers", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const { renewedWithout } = await import("./support/forged-chain.ts");
    await renewedWithout(shop, "publishers.json");
    const refusal = await refusalOfAsync(() => shop.client("one").hotpatches());
    assertRefusal(refusal, "catalog/metadata-invalid", /cannot be used/);
  });

  test("whatever the bytes are, the client ends in a refusal or a failure of its own", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const mirror = shop.mirror("mirror");
    const good = new Map(
      ["timestamp.json", "1.snapshot.json", "1.targets.json"].map((name) => [
        name,
        readFileSync(path.join(mirror, "metadata", name)),
      ]),
    );
    let runs = 0;
    const bent = fc.record({
      name: fc.constantFrom(...good.keys()),
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      cut: fc.nat(40),
      put: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.json().map((text) => Buffer.from(text)),
      ),
    });
    await fc.assert(
      fc.asyncProperty(bent, async ({ name, at, cut, put }) => {
        const bytes = good.get(name)!;
        const place = Math.floor(at * bytes.length);
        const changed = Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + cut)]);
        writeFileSync(path.join(mirror, "metadata", name), changed);
        try {
          await shop.client(`run-${runs++}`, mirror).refresh();
          assert.deepEqual(JSON.parse(changed.toString()), JSON.parse(bytes.toString()), "a changed file was accepted");
        } catch (error) {
          assert.ok(error instanceof RefusalError || error instanceof RebootlessError, String(error));
          assert.ok(!(error instanceof RebootlessError) || error.kind !== "bug", String(error));
        } finally {
          writeFileSync(path.join(mirror, "metadata", name), bytes);
        }
      }),
      { numRuns: 150 },
    );
  });
});

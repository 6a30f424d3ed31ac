/** Advisories of others: what is taken from CSAF and OSV, from hostile files as well, and where it is shown. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { AdvisoryNote } from "../../src/api/schemas/catalog.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { checkSchema } from "../../src/base/schema-check.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { readAdvisory } from "../../src/server/advisories/read-advisory.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { fc } from "../support/properties.ts";
import { openServer } from "./support/running-server.ts";

const vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

function csaf(version: string, score = 9.8): Record<string, unknown> {
  return {
    document: {
      category: "csaf_security_advisory",
      csaf_version: "2.0",
      title: "An example",
      publisher: { category: "vendor", name: "Example Vendor", namespace: "https://example.invalid" },
      tracking: { id: "EX-2026-1", version, status: "final" },
    },
    product_tree: {
      branches: [
        { category: "vendor", name: "V", branches: [{ product: { product_id: "P1", name: "sample 1.0.0" } }] },
      ],
    },
    vulnerabilities: [
      {
        cve: "CVE-2026-0001",
        ids: [{ system_name: "Ours", text: "EX-BUG-1" }],
        notes: [{ category: "description", text: "A hole\u0000 in the sample." }],
        scores: [{ products: ["P1"], cvss_v3: { version: "3.1", vectorString: vector, baseScore: score } }],
        threats: [{ category: "exploit_status", details: "Exploited:Yes" }],
        product_status: { known_affected: ["P1", "unknown"] },
        references: [{ url: "https://example.invalid/1" }, { url: "javascript:alert(1)" }],
      },
      { notes: [{ category: "description", text: "without an id" }] },
    ],
  };
}

const osv = {
  schema_version: "1.6.0",
  id: "GHSA-9c47-m6qq-7p4h",
  modified: "2026-11-01T00:00:00Z",
  aliases: ["CVE-2026-0001"],
  summary: "Prototype pollution",
  details: "Long text.",
  severity: [{ type: "CVSS_V3", score: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
  affected: [{ package: { ecosystem: "npm", name: "sample" } }],
};

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value), "utf8");

test("CSAF 2.0: each vulnerability with an id, its names, scores, status and products", () => {
  const [note, ...more] = readAdvisory(bytes(csaf("1")), "a.json");
  assert.equal(more.length, 0);
  assert.deepEqual(note, {
    id: "CVE-2026-0001",
    aliases: ["EX-BUG-1"],
    title: "An example",
    text: "A hole  in the sample.",
    severity: "critical",
    cvss: [{ vector, score: 9.8 }],
    exploited: true,
    products: ["sample 1.0.0"],
    references: ["https://example.invalid/1"],
    source: { format: "csaf", publisher: "Example Vendor", document: "EX-2026-1", version: "1" },
    doubts: [],
  });
});

test("OSV: under its CVE, with the score that follows from its vector", () => {
  const [note] = readAdvisory(bytes(osv), "b.json");
  assert.equal(note?.id, "CVE-2026-0001");
  assert.deepEqual(note.aliases, ["GHSA-9c47-m6qq-7p4h"]);
  assert.deepEqual(note.cvss, [{ vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", score: 8.1 }]);
  assert.deepEqual([note.severity, note.exploited, note.products], ["high", null, ["npm/sample"]]);
  assert.equal(note.source.publisher, "GHSA");
});

test("a score that does not follow from its vector is left aside, and said so", () => {
  const [note] = readAdvisory(bytes(csaf("1", 2.5)), "a.json");
  assert.deepEqual(note?.cvss, []);
  assert.match(note?.doubts[0] ?? "", /gives 9\.8, and not 2\.5/);
});

describe("hostile files", () => {
  const rows: readonly (readonly [what: string, file: Buffer, words: RegExp])[] = [
    ["no JSON", Buffer.from("<xml/>"), /not JSON|JSON/],
    ["not UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /UTF-8/],
    ["another kind", bytes({ hello: 1 }), /neither CSAF 2\.0 nor OSV/],
    ["CSAF 1", bytes({ document: { csaf_version: "1.2" } }), /neither/],
    ["no vulnerability", bytes({ document: { csaf_version: "2.0" } }), /no vulnerability/],
    ["nested deeply", Buffer.from(`${"[".repeat(100_000)}${"]".repeat(100_000)}`), /nested deeper/],
    ["an endless text", bytes({ id: "x".repeat(300_000) }), /text|string|longer/],
    ["an id that is none", bytes({ ...osv, id: "../../etc/passwd" }), /no vulnerability/],
  ];
  for (const [what, file, words] of rows) {
    test(what, () => {
      assert.throws(
        () => readAdvisory(file, "hostile.json"),
        (error: unknown) => error instanceof RebootlessError && words.test(error.message),
      );
    });
  }

  test("whatever stands in the fields, notes fit the contract or the file is refused", () => {
    const junk = fc.jsonValue({ maxDepth: 3 });
    const keys = ["cve", "ids", "title", "notes", "scores", "threats", "product_status", "references"];
    const vulnerability = fc.record(Object.fromEntries(keys.map((key) => [key, junk])), { requiredKeys: [] });
    const named = fc.tuple(vulnerability, junk, junk).map(([one, tree, tracking]) => ({
      document: { csaf_version: "2.0", tracking, publisher: tracking, title: tracking },
      product_tree: tree,
      vulnerabilities: [{ ...one, cve: "CVE-2026-1" }],
    }));
    const about = fc.record({ aliases: junk, severity: junk, affected: junk, references: junk, summary: junk });
    const other = about.map((one) => ({ ...one, id: "GHSA-1", modified: "x" }));
    fc.assert(
      fc.property(fc.oneof(named, other), (file) => {
        for (const note of readAdvisory(bytes(file), "junk.json")) {
          checkSchema(AdvisoryNote, note, ({ field, problem }) => assert.fail(`${field} ${problem}`));
        }
      }),
      { numRuns: 500 },
    );
  });
});

test("what advisories say stands beside what is signed, with its source", { timeout: 60_000 }, async (t) => {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot } });
  const admin = await server.signIn();
  const before = (await admin("/v1/hotpatches/one")).body.hotpatch;
  const items = [...readAdvisory(bytes(csaf("1")), "a"), ...readAdvisory(bytes(osv), "b")];
  const send = async (body: unknown) => await admin("/v1/advisories", { method: "POST", body });
  assert.deepEqual((await send({ items })).body, { kept: 2, unchanged: 0 });
  assert.deepEqual((await send({ items })).body, { kept: 0, unchanged: 2 });
  const newer = readAdvisory(bytes(csaf("2")), "a");
  assert.deepEqual((await send({ items: newer })).body, { kept: 1, unchanged: 0 });
  const after = (await admin("/v1/hotpatches/one")).body;
  assert.deepEqual(after.hotpatch, before);
  assert.deepEqual(
    after.advisoryNotes.map(({ note }: { note: AdvisoryNote }) => [note.source.document, note.source.version]),
    [
      ["EX-2026-1", "2"],
      ["GHSA-9c47-m6qq-7p4h", "2026-11-01T00:00:00Z"],
    ],
  );
  const first = (await admin("/v1/advisories?limit=2")).body;
  const rest = (await admin(`/v1/advisories?limit=2&cursor=${first.next}`)).body;
  assert.deepEqual([first.items.length, rest.items.length, rest.next], [2, 2, undefined]);
  const lie = { ...items[0], cvss: [{ vector, score: 1 }] };
  assert.equal((await send({ items: [lie] })).body.code, "request/invalid");

  const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");
  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (line: string) => await runProgram([main, ...line.split(" ")], { env, cwd: server.folder });
  writeFileSync(path.join(server.folder, "osv.json"), JSON.stringify(osv));
  assert.match((await say("advisory import osv.json")).out, /Kept: 0\. Known already: 1\.\n$/);
  const shown = await say("hotpatch show one");
  assert.match(shown.out, /Not signed, from advisories:[\s\S]*says Example Vendor in EX-2026-1 2 \(csaf\)/);
  assert.match((await say("advisory list CVE-2026-0001")).out, /8\.1 \(CVSS:3\.1/);
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { refusalCodes } from "../../src/base/refusal.ts";
import { catalogLimits } from "../../src/repository/catalog-limits.ts";
import { defaultExpiryDays } from "../../src/repository/writer/repository-folder.ts";

const document = readFileSync(new URL("../../docs/catalog.md", import.meta.url), "utf8");

test("the document prints the limits that are kept", () => {
  const rows = [...document.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, value]) => [name, Number(value)]);
  assert.deepEqual(Object.fromEntries(rows), { ...catalogLimits });
});

test("the document lists every way in which a catalog is refused", () => {
  const listed = [...document.matchAll(/^\| `((?:catalog|repository)\/[\w-]+)` \|/gm)].map(([, code]) => code);
  const codes = refusalCodes.filter((code) => /^(catalog|repository)\//.test(code));
  assert.deepEqual(listed.sort(), [...codes].sort());
});

test("the document tells for how many days each role is good", () => {
  for (const [role, days] of Object.entries(defaultExpiryDays)) {
    assert.match(document, new RegExp(`^\\| ${role} \\|.*\\| ${days} days \\|`, "m"));
  }
});

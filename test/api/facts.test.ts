import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { factRows } from "../../src/api/fact-catalog.ts";
import { FactName } from "../../src/api/schemas/devices.ts";
import { checkSchema } from "../../src/base/schema-check.ts";
import { factsDocument } from "./facts-document.ts";

test("docs/facts.md is what the catalog says", () => {
  const written = readFileSync(new URL("../../docs/facts.md", import.meta.url), "utf8");
  assert.equal(written, factsDocument(), "run test/api/write-facts-document.ts");
});

test("each name is there once, and no name is the beginning of another's", () => {
  const names = factRows.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    checkSchema(FactName, name, ({ problem }) => assert.fail(`${name} ${problem}`));
    assert.deepEqual(
      names.filter((other) => other.startsWith(`${name}.`)),
      [],
      "an expression could not tell a value from a folder of values",
    );
  }
});

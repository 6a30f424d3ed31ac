import assert from "node:assert/strict";
import { test } from "node:test";
import { type Built, buildProject, readelfComplaints, replaced } from "./support/project.ts";

/** What one source changes and others use. */
const table = "const int limits[4] = {10, 20, 30, 40};\nint own(int x) { return limits[x & 3]; }\n";
const files = {
  "table.c": table,
  "reader.c":
    "extern const int limits[4];\nint read_limit(int x) { return limits[x & 3] + 1; }\nint other(int x) { return x ^ 3; }\n",
  "main.c":
    "int own(int), read_limit(int), other(int);\nint main(int argc, char **argv) { (void)argv; return own(argc) + read_limit(argc) + other(argc); }\n",
};

function newNames({ report }: Built): string[] {
  return report.binaries.flatMap(({ newVariables }) => newVariables.map(({ name }) => name)).sort();
}

test("a constant that changes changes its readers in sources that the fix does not touch", async () => {
  const built = await buildProject({ files, fixed: { "table.c": table.replace("30, 40", "31, 40") } });
  assert.deepEqual(replaced(built), ["own", "read_limit"]);
  assert.equal(readelfComplaints(built), "");
  // Nothing refers to the table that the process has.
  assert.ok(built.binary.symbols.every(({ name }) => !name.startsWith("limits")));
});

test("a common variable that a header brings into several sources is one variable", async () => {
  const fixed = {
    "shared.h": "int refused;\n",
    "table.c": `#include "shared.h"\n${table.replace("return limits", "if (x < 0) refused++; return limits")}`,
    "reader.c": `#include "shared.h"\n${files["reader.c"].replace("return limits", "if (refused) return 0; return limits")}`,
  };
  const built = await buildProject({ files, fixed, flags: "-O2 -fcommon" });
  assert.deepEqual(replaced(built), ["own", "read_limit"]);
  assert.deepEqual(newNames(built), ["refused"]);
});

test("a fix that only adds what nothing calls is refused as no change", async () => {
  await assert.rejects(
    buildProject({ files, fixed: { "table.c": `${table}int unused(int x) { return x + 1; }\n` } }),
    /nothing calls/,
  );
});

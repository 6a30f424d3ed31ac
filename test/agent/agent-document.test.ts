import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { errorCodes } from "../../src/base/errors.ts";
import { refusalCodes } from "../../src/base/refusal.ts";

test("docs/agent.md lists every code of the agent's own", () => {
  const document = readFileSync(new URL("../../docs/agent.md", import.meta.url), "utf8");
  const listed = [...document.matchAll(/^\| `(agent\/[\w-]+)` \|/gm)].map(([, code]) => code);
  const known = [...Object.keys(errorCodes), ...refusalCodes].filter((code) => code.startsWith("agent/"));
  assert.deepEqual(listed.toSorted(), known.toSorted());
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openDesk } from "../corpus/npm/command.ts";
import { readStockCases } from "./cases.ts";
import { runStockCase } from "./run-case.ts";

const builds = spawnSync("sh", ["-c", "command -v dh && command -v dpkg-buildpackage"]).status === 0;
const skip = builds ? false : "debhelper and dpkg-dev are not installed";

test("Debian's own shell, as it is installed and while it runs, takes a fix built from Debian's source and gives it back", {
  skip,
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-stock-"));
  const desk = await openDesk();
  try {
    const [dash] = readStockCases(["dash"]);
    assert.ok(dash !== undefined);
    const result = await runStockCase(dash, { desk, folder, say: (line) => context.diagnostic(line) });
    assert.equal(result.state, "held", result.note);
    assert.deepEqual(result.answers, ["not found", "is not there", "not found", "is not there"]);
  } finally {
    desk.remove();
    rmSync(folder, { recursive: true, force: true });
  }
});

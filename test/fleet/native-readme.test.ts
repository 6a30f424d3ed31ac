/** README's lines for a native program, run on a running and stripped C service. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { buildService, NativeService } from "../agent/support/native-service.ts";
import { starter } from "../agent/support/scene.ts";
import { linesOfReadme, mayRunNpx, Shell } from "./support/shell.ts";

const skip = mayRunNpx ? false : "npx needs a checkout of this user's own";

test("README's lines close the hole of a running native program, and open it again", {
  timeout: 300_000,
  skip,
}, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-readme-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { source, program } = buildService(folder);
  const service = await NativeService.start(starter(t, folder), { program });
  const shell = new Shell(t, folder);
  const run = (line: string) => {
    const filled = line
      .replace("SOURCE", source)
      .replace("FIX.diff", path.join(source, "fix.diff"))
      .replace("PROGRAM", program)
      .replace("PID", String(service.pid))
      .replace("fix.hotpatch", path.join(folder, "fix.hotpatch"));
    const { code, out, error } = shell.run(filled);
    assert.equal(code, 0, `${filled}: ${out}${error}`);
    return out;
  };
  for (const line of linesOfReadme(/^Make a key once/m, 2)) run(line);
  const [build = "", ps = "", apply = "", verify = "", revert = ""] = linesOfReadme(/^A native program is patched/m, 5);
  assert.match(run(build), /changed answer/);
  assert.match(run(ps), new RegExp(`^${service.pid} .*could take the hotpatch`, "m"));
  assert.equal(await service.hole(), "open");
  assert.match(run(apply), /applied to 1 function; 1 thread stood still/);
  assert.equal(await service.hole(), "closed");
  assert.match(run(verify), /in place; (\d+) of \1 findings proven/);
  run(revert);
  assert.equal(await service.hole(), "open");
  assert.equal(service.hasEnded, false);
});

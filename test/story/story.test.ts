/** The rehearsal of `npm run story` with few devices: it holds, and each chapter tells its lines. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { runProgram } from "../cli/run-program.ts";
import { steeringLibrary } from "./support/steered-time.ts";

const main = path.join(import.meta.dirname, "main.ts");
const skip = steeringLibrary() === undefined && "libfaketime is not installed";

test("a fleet of twenty over some months", { timeout: 540_000, skip }, async () => {
  const { code, out, error } = await runProgram([main, "20"], { timeoutMs: 500_000 });
  assert.equal(code, 0, out + error);
  assert.match(out, /ring Last: one is verified on 20 of 20/);
  assert.match(out, /the hold is released, and two is verified on all 20/);
  assert.match(out, /resumed: three is verified on all 20/);
  assert.match(out, /finished: four is verified on all 21/);
  assert.match(out, /bad is in place nowhere/);
  assert.match(out, /with the baseline came the hotpatch: five is verified on 19/);
  assert.match(out, /brings it back: seven is verified on all 19/);
  assert.match(out, /expedited: urgent is verified on all 19 within the same hour/);
  assert.match(out, /ring rest: the hole is closed in all 3, in the same processes/);
  assert.match(out, /taken back: the hole is open in all again/);
});

test("a number of devices that cannot be is refused", async () => {
  const { code, error } = await runProgram([main, "many"]);
  assert.deepEqual([code, error], [2, "story: say how many devices there are to be, from 20 to 4000\n"]);
});

/**
 * A patcher that ends itself with SIGKILL right before its n-th call into the target.
 *
 * It is started ahead of time and waits for one line on its input: a JSON array of PID, apply or revert, the file with the hotpatch, n.
 * Prints how many calls it made when it comes to its end. Without a line it ends with who started it.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { observeCalls } from "../../../../src/engine/linux/system-calls.ts";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { apply, revert } from "./patching.ts";

const lines = createInterface({ input: process.stdin });
const { value, done } = await lines[Symbol.asyncIterator]().next();
if (done === true) process.exit(0);
lines.close();
const [pid, action, file, at] = JSON.parse(value) as [number, "apply" | "revert", string, number];
const stored = JSON.parse(readFileSync(file, "utf8")) as {
  manifest: Hotpatch["manifest"];
  payloads: [string, string][];
};
const payloads = new Map(stored.payloads.map(([name, text]) => [name, Buffer.from(text, "base64")]));
let calls = 0;
let previous = "";
observeCalls((call) => {
  // How often it looks whether threads have stopped varies from run to run, and changes nothing in the target.
  const isRepeated = call === "waitpid" && previous === "waitpid";
  previous = call;
  if (isRepeated) return;
  calls++;
  if (calls === at) process.kill(process.pid, "SIGKILL");
});
const act = action === "apply" ? apply : revert;
await act(pid, { manifest: stored.manifest, payloads }, 10_000);
process.stdout.write(`${calls}\n`, () => process.exit(0));

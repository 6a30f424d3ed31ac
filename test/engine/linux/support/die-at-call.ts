/**
 * A patcher that ends itself with SIGKILL right before its n-th call into the target.
 *
 * Arguments: PID, apply or revert, the file with the hotpatch, n. Prints how many calls it made when it comes to its end.
 */
import { readFileSync } from "node:fs";
import { observeCalls } from "../../../../src/engine/linux/system-calls.ts";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { apply, revert } from "./patching.ts";

const [pid, action, file, at] = process.argv.slice(2);
const stored = JSON.parse(readFileSync(file as string, "utf8")) as {
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
  if (calls === Number(at)) process.kill(process.pid, "SIGKILL");
});
const act = action === "apply" ? apply : revert;
await act(Number(pid), { manifest: stored.manifest, payloads }, 10_000);
console.log(calls);

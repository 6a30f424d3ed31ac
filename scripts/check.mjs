/** `npm run check [-- --fix]`: format and lint, types, and the tidy test; a short summary, and exit code 1 where any fails. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { checkoutRoot, pinnedNodePath } from "./pinned-node.mjs";
import { setUpOrExit } from "./setup.mjs";

const unknown = process.argv.slice(2).filter((argument) => argument !== "--fix");
if (unknown.length > 0) {
  console.error(`check: unknown argument ${unknown[0]}; there is --fix, which formats and applies safe fixes`);
  process.exit(2);
}
const fix = process.argv.includes("--fix");
await setUpOrExit();

const modules = join(checkoutRoot, "node_modules");
const tidyTests = readdirSync(join(checkoutRoot, "test", "tidy"))
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => join("test", "tidy", name));
const steps = [
  {
    name: "format and lint",
    args: [
      join(modules, "@biomejs", "biome", "bin", "biome"),
      "check",
      "--error-on-warnings",
      ...(fix ? ["--write"] : []),
    ],
    hint: "npm run check -- --fix formats",
  },
  { name: "types", args: [join(modules, "typescript", "bin", "tsc"), "--project", "."] },
  { name: "types of the page", args: [join(modules, "typescript", "bin", "tsc"), "--project", join("src", "console")] },
  { name: "tidy", args: ["--test", "--test-reporter=dot", ...tidyTests] },
];

const summary = [];
let failed = false;
for (const step of steps) {
  const startedMs = Date.now();
  // Left over from the test runner, the variable would make the tidy test report to it instead of running.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const run = spawnSync(pinnedNodePath(), step.args, { cwd: checkoutRoot, env, encoding: "utf8", maxBuffer: 64 << 20 });
  const held = run.status === 0;
  failed ||= !held;
  if (!held) console.log(`${run.stdout ?? ""}${run.stderr ?? ""}${run.error?.message ?? ""}`.trimEnd());
  const hint = held || step.hint === undefined ? "" : ` (${step.hint})`;
  summary.push(`${held ? "ok    " : "FAILED"}  ${step.name}  ${((Date.now() - startedMs) / 1000).toFixed(1)} s${hint}`);
}
console.log(`\n${summary.join("\n")}`);
process.exit(failed ? 1 : 0);

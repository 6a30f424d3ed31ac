/**
 * `npm test [-- WORD… --option…]`: set-up, Debian packages, then every `*.test.ts` file under test/ by the pinned Node.
 *
 * A WORD keeps the files whose path contains it; options go to `node --test`, with `=` before their values.
 */
import { readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { installDebianPackages } from "./debian-packages.mjs";
import { checkoutRoot, endLike, runPinnedNode } from "./pinned-node.mjs";
import { setUpOrExit } from "./setup.mjs";

/** Twice what the longest file takes on a busy machine: a hung test ends the run, a slow machine does not. */
const timeoutMs = 600_000;
const concurrency = 2;

function findTests(words) {
  const skipped = new Set(["fixtures", "node_modules"]);
  return readdirSync(join(checkoutRoot, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => relative(checkoutRoot, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((path) => !path.split(sep).some((part) => skipped.has(part)))
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word.replace(/^\.\//, ""))))
    .sort();
}

const given = process.argv.slice(2);
const words = given.filter((argument) => !argument.startsWith("-"));
const say = (line) => console.error(`test: ${line}`);

await setUpOrExit();
await installDebianPackages({ say });
const files = findTests(words);
if (files.length === 0) {
  say(words.length === 0 ? "there is no test" : `no test file has ${words.join(" or ")} in its path`);
  process.exit(2);
}
say(`running ${files.length} files`);
const flags = ["--test", `--test-concurrency=${concurrency}`, `--test-timeout=${timeoutMs}`];
const options = given.filter((argument) => argument.startsWith("-"));
endLike(await runPinnedNode([...flags, ...options, ...files], { cwd: checkoutRoot }));

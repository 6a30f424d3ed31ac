/** `npm run suites:npm`: progress on standard error, the table and each difference on standard output, the verdict as exit code. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nodeMajors } from "../support/node-versions.ts";
import { runSuites, type SuitesOptions } from "./run-suites.ts";
import { onlySuites, suiteCases } from "./suite-cases.ts";
import { differencesText, summary, table } from "./suite-report.ts";
import { shortcomings } from "./suite-run.ts";

const usage = `usage: npm run suites:npm -- [options]

Runs the suites of packages in a process that was patched from outside, and compares each outcome with that on the fixed version.

  --node 22,24,26     the major versions of Node.js to try (of ${nodeMajors.join(", ")}; by default 26)
  --only ID,…         these packages alone
  --json FILE         write every difference to a file

Exit code 0 when every suite gives the same result; 1 when one does not, or could not run; 2 for wrong usage.
`;

const say = (line: string) => console.error(`suites: ${line}`);

function readOptions(): SuitesOptions & { readonly json: string | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        node: { type: "string", default: "26" },
        only: { type: "string" },
        json: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      console.log(usage.trimEnd());
      process.exit(0);
    }
    const majors = values.node.split(",").map((text) => {
      const major = nodeMajors.find((one) => String(one) === text.trim());
      if (major === undefined) throw new Error(`--node ${text}: choose from ${nodeMajors.join(", ")}`);
      return major;
    });
    const cases = values.only === undefined ? suiteCases : onlySuites(values.only.split(","));
    return { majors, cases, json: values.json };
  } catch (error) {
    console.error(`suites: ${(error as Error).message}\n\n${usage.trimEnd()}`);
    process.exit(2);
  }
}

const { json, ...options } = readOptions();
try {
  const results = await runSuites(options, say);
  console.log(table(results));
  const text = differencesText(results);
  if (text !== "") console.log(`\n${text}`);
  console.log(`\n${summary(results)}`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ results }, undefined, 2)}\n`);
  process.exitCode = results.every((result) => shortcomings(result).length === 0) ? 0 : 1;
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}

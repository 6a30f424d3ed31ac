/** The command line of `npm run corpus:npm`. */
import { parseArgs } from "node:util";
import { type NodeMajor, nodeMajors } from "../../support/node-versions.ts";
import { corpusFolder } from "./cases.ts";

export interface CorpusOptions {
  readonly corpus: string;
  readonly majors: readonly NodeMajor[];
  /** Ids; undefined for all. */
  readonly only?: readonly string[];
  readonly sample?: number;
  /** Megabytes of live objects in each target before it loads the package. */
  readonly heapMegabytes: number;
  /** The budget for `apply`; undefined leaves the command its own. */
  readonly maxPauseMs?: number;
  /** Where to write everything as JSON. */
  readonly json?: string;
  /** Only ask the probes about the vulnerable and the fixed versions; nothing is built or patched. */
  readonly controlsOnly: boolean;
}

export const usage = `usage: npm run corpus:npm -- [options]

Tries every case of a corpus of real holes in npm packages: open, closed in the same process, open after revert, closed again.

  --corpus DIR        the folder with cases.json and probes.cjs (or REBOOTLESS_CORPUS; by default ../shared/corpus/npm)
  --node 22,24,26     the major versions of Node.js to try (of ${nodeMajors.join(", ")})
  --only ID,…         these cases alone
  --sample N          N cases, spread over the list, the same in each run
  --heap MB           fill each target's heap with so many megabytes of live objects first
  --max-pause MS      the budget for apply (by default its own; large with --heap)
  --controls          only check that each probe can tell the vulnerable from the fixed version
  --json FILE         write all figures and answers to a file

Exit code 0 when at least 90 % of the cases are closed on each Node.js and all others are refused at build; 1 when not; 2 for wrong usage.
`;

/** Above what a heap of several GB needs for one edit of each file. */
const largeHeapMaxPauseMs = 600_000;

/** Throws an Error with a message for the user when the words make no sense; undefined when they ask for help. */
export function readOptions(words: readonly string[]): CorpusOptions | undefined {
  const { values } = parseArgs({
    args: [...words],
    options: {
      corpus: { type: "string" },
      node: { type: "string", default: "22,24,26" },
      only: { type: "string" },
      sample: { type: "string" },
      heap: { type: "string", default: "0" },
      "max-pause": { type: "string" },
      controls: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.only !== undefined && values.sample !== undefined) throw new Error("give --only or --sample, not both");
  const heapMegabytes = wholeNumber("--heap", values.heap, 0);
  const maxPauseMs =
    values["max-pause"] === undefined
      ? heapMegabytes > 0
        ? largeHeapMaxPauseMs
        : undefined
      : wholeNumber("--max-pause", values["max-pause"], 1);
  return {
    corpus: corpusFolder(values.corpus),
    majors: values.node.split(",").map(readMajor),
    heapMegabytes,
    controlsOnly: values.controls,
    ...(values.only === undefined ? {} : { only: values.only.split(",") }),
    ...(values.sample === undefined ? {} : { sample: wholeNumber("--sample", values.sample, 1) }),
    ...(maxPauseMs === undefined ? {} : { maxPauseMs }),
    ...(values.json === undefined ? {} : { json: values.json }),
  };
}

function readMajor(text: string): NodeMajor {
  const major = nodeMajors.find((one) => String(one) === text.trim());
  if (major === undefined) throw new Error(`--node ${text}: choose from ${nodeMajors.join(", ")}`);
  return major;
}

function wholeNumber(name: string, text: string, least: number): number {
  if (/^[0-9]{1,7}$/.test(text) && Number(text) >= least) return Number(text);
  throw new Error(`${name} ${text}: give a whole number from ${least} on`);
}

/**
 * The process that is patched: loads one package by its alias, keeps what a real application keeps, and answers probes.
 *
 * It speaks JSON, one value a line: requests come on standard input, answers leave on standard output; between them its event loop is idle.
 * It runs on every Node.js that is tested, from a folder whose node_modules holds the package.
 * It must not do anything that helps or hinders a hotpatch.
 */
"use strict";
const { join } = require("node:path");
const { createInterface } = require("node:readline");

/** @type {{ id: string, esm: boolean, heapMegabytes: number }} */
const job = JSON.parse(process.argv[2]);
const alias = `x-${job.id}`;

function say(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function messageOf(thrown) {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}

/** Null means that the probe could not tell; anything else is taken for true or false, as its author's own `if` would. */
function asAnswer(result) {
  const vuln = result?.vuln === null ? null : Boolean(result?.vuln);
  return result?.info === undefined ? { vuln } : { vuln, info: String(result.info).slice(0, 500) };
}

async function start() {
  if (job.heapMegabytes > 0) require("./heap-filler.cjs").fillHeap(job.heapMegabytes);
  // The corpus's own file, which is copied beside this one.
  const given = require(join(__dirname, "probes.cjs"))[job.id];
  const companion = require("./extra-probes.cjs")[job.id];
  const library = job.esm ? await import(alias) : require(alias);
  const setup = given?.setup ?? companion?.setup;
  const context = setup === undefined ? undefined : await setup(library, require);
  return { probes: { given, companion }, context };
}

async function answer({ request, probe }, { probes, context }) {
  try {
    say({ request, ...asAnswer(await probes[probe].poc(context)) });
  } catch (error) {
    say({ request, error: messageOf(error) });
  }
}

start().then(
  (application) => {
    const { given, companion } = application.probes;
    // Whoever started us holds the other end: when that closes, there is nobody left to answer.
    createInterface({ input: process.stdin })
      .on("line", (line) => answer(JSON.parse(line), application))
      .on("close", () => process.exit());
    say({
      ready: true,
      pid: process.pid,
      version: process.versions.node,
      probes: { given: given !== undefined, companion: companion !== undefined },
      heapUsedBytes: process.memoryUsage().heapUsed,
    });
  },
  (error) => {
    say({ ready: false, message: messageOf(error) });
    process.exitCode = 1;
  },
);

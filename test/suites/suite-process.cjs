/**
 * The process that runs a suite: it loads one package, keeps what an application keeps, and carries out the checks when told to.
 *
 * It talks through the channel that its parent made; between rounds its event loop is idle.
 * It runs on every Node.js that is tested, and does nothing that helps or hinders a hotpatch.
 */
"use strict";
const { join } = require("node:path");
const { carryOut } = require("./checks.cjs");
const { openPackageTests } = require("./package-tests.cjs");

/** @type {{ id: string, esm: boolean, folder: string, suite: string | null, tests: object | null }} */
const job = JSON.parse(process.argv[2]);

/** Answers the function that runs one round. */
async function start() {
  const { load, requireHere } = require(join(job.folder, "load-package.cjs"));
  const library = await load(`x-${job.id}`, job.esm);
  const packageTests = job.tests === null ? undefined : openPackageTests(job, requireHere);
  const suite = job.suite === null ? undefined : require(job.suite);
  const kept = await suite?.keep(library, requireHere);
  return async () => [
    ...((await packageTests?.()) ?? []),
    ...(suite === undefined ? [] : await carryOut(await suite.checks(kept))),
  ];
}

/** Whoever started us holds the other end: when that closes, there is nobody left to answer. */
process.on("disconnect", () => process.exit());

start().then(
  (round) => {
    process.on("message", ({ request }) => {
      round().then(
        (results) => process.send({ request, results }),
        (error) => process.send({ request, error: String(error?.stack ?? error) }),
      );
    });
    process.send({ ready: true, version: process.versions.node });
  },
  (error) => process.send({ ready: false, error: String(error?.stack ?? error) }),
);

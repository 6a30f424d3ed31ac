/**
 * A package's own tests, as its author published them, run inside this process.
 *
 * The tests are those of the fixed version.
 * They lie in a folder of their own whose main file hands out the copy of the package that this process has loaded, so that they test that copy.
 */
"use strict";
const { readdirSync, statSync } = require("node:fs");
const { join, relative } = require("node:path");
const { serialise } = require("./serialise.cjs");

const runners = { tape: runTape, mocha: runMocha };

/** Loads the package through the tests' own main file at once, as the tests would; answers the function that runs them. */
function openPackageTests({ id, folder, tests }, requireHere) {
  const place = join(folder, "package-tests", id);
  requireHere(join(place, tests.main));
  const files = testFiles(join(place, tests.path)).filter((file) => !tests.without.includes(relative(place, file)));
  return () => runners[tests.runner](files, { place, requireHere });
}

function testFiles(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => name.endsWith(".js"))
    .sort()
    .map((name) => join(path, name));
}

/** Test files and their runner start afresh in each round; the package stays as it is loaded. */
function forget(files, runner, requireHere) {
  const folder = `/node_modules/${runner}/`;
  for (const file of Object.keys(requireHere.cache)) {
    if (files.includes(file) || file.includes(folder)) delete requireHere.cache[file];
  }
}

function runTape(files, { place, requireHere }) {
  forget(files, "tape", requireHere);
  const results = [];
  const titles = new Map();
  const stream = requireHere("tape").createStream({ objectMode: true });
  return new Promise((resolve, reject) => {
    stream.on("data", (row) => {
      if (row.type === "test") titles.set(row.id, row.name);
      if (row.type !== "assert") return;
      const name = `tape: ${titles.get(row.test)}: ${row.name} #${results.length + 1}`;
      results.push({ name, outcome: `${row.ok ? "passes" : "fails"} with ${serialise(row.actual)}` });
    });
    stream.on("end", () => resolve(results));
    stream.on("error", reject);
    for (const file of files) requireHere(join(place, relative(place, file)));
  });
}

function runMocha(files, { requireHere }) {
  forget(files, "mocha", requireHere);
  const Mocha = requireHere("mocha");
  const results = [];
  const mocha = new Mocha({ reporter: class Silent {}, ui: "bdd" });
  for (const file of files) mocha.addFile(file);
  mocha.loadFiles();
  return new Promise((resolve) => {
    const add = (test, outcome) => {
      results.push({ name: `mocha: ${test.fullTitle()} #${results.length + 1}`, outcome });
    };
    mocha
      .run(() => resolve(results))
      .on("pass", (test) => add(test, "passes"))
      .on("pending", (test) => add(test, "is pending"))
      .on("fail", (test, error) => add(test, `fails with ${serialise(String(error?.message ?? error))}`));
  });
}

module.exports = { openPackageTests };

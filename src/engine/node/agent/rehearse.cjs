"use strict";
/**
 * The part of the sacrificial process: it loads the same files with the same Node.js, and goes through the hotpatch as the target will.
 *
 * `entries` are package names to load from `base`, `files` paths to load one by one, where a file that does not load alone is passed over.
 * `values`: folder and version of the package whose values are to be listed, before and after; `valuesOnly`: nothing else is wanted.
 */

const Module = require("node:module");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const v8 = require("node:v8");
const { Isolate } = require("./isolate.cjs");
const { exportedFunctions, listValues, replacedFunctions } = require("./values.cjs");
const { importModule } = require("./import-module.cjs");

/** Answers on standard output with one JSON document, and ends the process. */
async function main(input) {
  // What a package prints while it loads must not get into the answer.
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = () => true;
  try {
    const answer = await rehearse(input);
    write(JSON.stringify(answer), () => process.exit(0));
  } catch (error) {
    process.stderr.write(`${error.stack}\n`, () => process.exit(1));
  }
}

async function rehearse({ hotpatch, base, entries, files, ballastMb, values, valuesOnly = false, waitMs = 0 }) {
  const answer = { node: process.versions.node, failures: [] };
  for (const entry of entries) await load(answer, () => loadEntry(base, entry), entry);
  answer.entryFiles = loadedFiles(hotpatch);
  const entryModules = values && [...packageModules(values.folder), ...answer.entryFiles];
  const loaded = new Set(answer.entryFiles);
  for (const file of files) if (await load(answer, () => loadFile(file), file.filename)) loaded.add(file.path);
  const roots =
    values &&
    (await rootsOf(
      values.folder,
      files.filter((file) => loaded.has(file.path)),
    ));
  const exported = exportedFunctions(roots ?? []);
  const list = values && ((isolate) => valuesIn(isolate, { ...values, roots }));
  const lookAgain =
    values && ((isolate) => ({ valuesAfter: list(isolate), replaced: replacedFunctions(exported, roots) }));
  if (list) {
    answer.loadedFiles = entryModules;
    answer.valuesBefore = list(new Isolate());
  }
  if (valuesOnly) return answer;
  // A file that did not load to its end may have been compiled all the same.
  const rehearsed = { ...hotpatch, files: hotpatch.files.filter((file) => loaded.has(file.path)) };
  // One for all rounds, as in a target: it alone knows which scripts are remains of earlier edits.
  const isolate = new Isolate();
  const cold = await round(isolate, rehearsed, waitMs, { lookAgain, isThorough: true });
  Object.assign(answer, cold);
  if (cold.applied && ballastMb > 0) await measure(answer, isolate, { cold, rehearsed, ballastMb, waitMs });
  return answer;
}

/**
 * Two samples of the pause, on a light and on a heavier heap.
 * The first round pays for much that comes only once and may meet a busy moment; the target's round is a first one too, so it may count up to half as much again as a second one.
 * Where a later round fails there are no samples.
 */
async function measure(answer, isolate, { cold, rehearsed, ballastMb, waitMs }) {
  const warm = await round(isolate, rehearsed, waitMs);
  if (!warm.applied) return;
  const light = (key) => Math.min(cold[key], 1.5 * warm[key]);
  answer.pauseMs = light("pauseMs");
  answer.enableMs = light("enableMs");
  const ballast = fill(ballastMb);
  const heavy = await round(isolate, rehearsed, waitMs);
  if (!heavy.applied) return;
  const grown = (key) => light(key) + Math.max(0, heavy[key] - warm[key]);
  answer.heavier = { heapUsedBytes: heavy.heapUsedBytes, enableMs: grown("enableMs"), pauseMs: grown("pauseMs") };
  answer.ballast = ballast.length;
}

/** Applied and taken back once, with the debugger turned on anew. */
async function round(isolate, hotpatch, waitMs, { lookAgain, isThorough = false } = {}) {
  const heapUsedBytes = v8.getHeapStatistics().used_heap_size;
  try {
    const { copies, pauseMs, enableMs, findings } = await isolate.apply({ hotpatch, waitMs });
    if (isThorough) refuseStale(isolate.findLeftBehind(hotpatch.id));
    const seen = lookAgain?.(isolate);
    const { leftBehind, pauseMs: revertPauseMs } = await isolate.revert({ id: hotpatch.id, waitMs });
    return {
      applied: true,
      copies,
      pauseMs: Math.max(pauseMs, revertPauseMs),
      enableMs,
      findings,
      ...seen,
      leftBehind,
      heapUsedBytes,
    };
  } catch (error) {
    return {
      applied: false,
      heapUsedBytes,
      fault: {
        code: error.code,
        message: error.code ? error.message : String(error.stack),
        files: error.details?.files ?? [],
        isFinal: error.details?.isFinal === true,
      },
    };
  } finally {
    isolate.debugging.close();
  }
}

/** The exports of files that are loaded. */
async function rootsOf(folder, files) {
  const roots = packageModules(folder).map((name) => ({
    path: name,
    value: Module._cache[path.join(folder, name)].exports,
  }));
  for (const { filename, path: name, format } of files) {
    if (format === "module") roots.push({ path: name, value: await importModule(pathToFileURL(filename).href) });
  }
  return roots.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Paths of the package's CommonJS files that are loaded. */
function packageModules(folder) {
  return Object.keys(Module._cache)
    .filter(
      (filename) => filename.startsWith(`${folder}/`) && !filename.slice(folder.length).includes("/node_modules/"),
    )
    .map((filename) => filename.slice(folder.length + 1));
}

function valuesIn(isolate, { folder, version, roots }) {
  const copies = [...isolate.applied.values()].flatMap((transaction) => transaction.copies);
  const registryOf = (filename) => copies.find((copy) => copy.filename === filename)?.registry;
  return isolate.withDebugger(() => listValues(isolate.debugging, { folder, version, roots, registryOf }));
}

function refuseStale(stale) {
  if (stale.length === 0) return;
  const names = stale.map(({ name, path: file }) => `${name || "a function"} of ${file}`).join(", ");
  const files = [...new Set(stale.map(({ path: file }) => file))];
  throw Object.assign(new Error(`The live edit leaves ${names} on the old code.`), {
    code: "plan/no-way",
    details: { files },
  });
}

function loadedFiles(hotpatch) {
  const isolate = new Isolate();
  const { copies } = isolate.probe(hotpatch);
  isolate.debugging.close();
  return copies.map((copy) => copy.path);
}

async function load(answer, action, name) {
  try {
    await action();
    return true;
  } catch (error) {
    answer.failures.push({ name, message: String(error?.message ?? error).slice(0, 500) });
    return false;
  }
}

async function loadEntry(base, name) {
  const require = Module.createRequire(path.join(base, "rehearsal.js"));
  try {
    useAll(require(name));
  } catch (error) {
    if (
      error.code !== "ERR_REQUIRE_ESM" &&
      error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED" &&
      !/import statement|export/.test(error.message)
    )
      throw error;
    await importModule(resolveModule(base, name, require));
  }
}

/** An application uses what a package exports, and some load their files only then, by getters. */
function useAll(exports) {
  if (exports === null || (typeof exports !== "object" && typeof exports !== "function")) return;
  for (const key of Object.keys(exports)) {
    try {
      void exports[key];
    } catch {
      // What cannot be had here is not used by an application either.
    }
  }
}

/** The file that `import` would take; the resolver of ES modules is at hand only in files on disk beside the package. */
function resolveModule(base, name, require) {
  const folder = path.join(base, "node_modules", name);
  const manifest = require(path.join(folder, "package.json"));
  const target = entryOf(manifest.exports) ?? manifest.module ?? manifest.main ?? "index.js";
  return pathToFileURL(path.join(folder, target)).href;
}

function entryOf(exports) {
  if (typeof exports === "string" || exports === undefined) return exports;
  if (Array.isArray(exports)) return exports.map(entryOf).find((entry) => entry !== undefined);
  const root = Object.keys(exports).some((key) => key.startsWith(".")) ? exports["."] : exports;
  if (typeof root === "string" || root === undefined || root === null) return root ?? undefined;
  return entryOf(root.import ?? root.node ?? root.default ?? root.require);
}

async function loadFile({ filename, format }) {
  if (format === "module") await importModule(pathToFileURL(filename).href);
  else Module.createRequire(filename)(filename);
}

/** A heap of small live objects, which is what a live edit walks over. */
function fill(megabytes) {
  const list = [];
  const end = v8.getHeapStatistics().used_heap_size + megabytes * 1024 * 1024;
  while (v8.getHeapStatistics().used_heap_size < end) {
    for (let index = 0; index < 2000; index++) list.push({ index, label: `item ${index}`, parts: [index, index + 1] });
  }
  return list;
}

module.exports = { main };

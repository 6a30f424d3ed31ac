"use strict";
/**
 * `import()` for code that came in through the inspector, which has no module loader of its own.
 *
 * The default loader gives the very module that the application has, by its URL.
 */

const vm = require("node:vm");

let load;

/** `url`: a `file:` URL or the name of a built-in module. */
function importModule(url) {
  // Node.js calls the default loader experimental here; the application's log is not the place to say so.
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    load ??= new vm.Script("(url) => import(url)", {
      importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    }).runInThisContext();
    return load(url);
  } finally {
    process.emitWarning = emitWarning;
  }
}

module.exports = { importModule };

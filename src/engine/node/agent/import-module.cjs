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
  load ??= new vm.Script("(url) => import(url)", {
    importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext();
  return load(url);
}

module.exports = { importModule };

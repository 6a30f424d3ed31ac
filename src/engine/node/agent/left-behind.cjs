"use strict";
/**
 * Functions that a live edit left on their former code: V8's comparison of two texts loses some in silence where several places differ.
 *
 * Those that the exports lead to are checked in the turn of the edit. Others, such as what a factory made for the application, are found only by a look at every function of the heap, which takes about as long as two live edits.
 */

const v8 = require("node:v8");
const { toText } = require("./closures.cjs");

/** Measured on a machine with two cores; a fresh process has about 6 MB. */
const look = { ms: 40, msPerMb: 14, freshMb: 6 };

/** How long a look will take, in milliseconds. */
function predictLookMs() {
  const megabytes = v8.getHeapStatistics().used_heap_size / (1024 * 1024);
  return look.ms + look.msPerMb * Math.max(0, megabytes - look.freshMb);
}

/**
 * Whether closures may exist that nobody has checked.
 * What exists since the module was loaded exists in a rehearsal too, where every function is looked at.
 */
function mayHideClosures({ functions }, wasRehearsed) {
  return functions.some(
    ({ several, brief, closures }) => brief !== true && (several === true || (!wasRehearsed && closures.length === 0)),
  );
}

/** `{ path, name }` of each live function with the former code. The debugger has to be on. */
function findLeftBehind(debugging, copies) {
  return debugging
    .allFunctions()
    .filter((fn) => typeof fn === "function")
    .flatMap((fn) => {
      const text = toText.call(fn);
      // Many files may hold one helper, so the text alone does not tell which of them was left behind.
      const concerned = copies.filter(({ functions }) => functions.some(({ oldText }) => oldText === text));
      const origin = concerned.length === 0 ? undefined : debugging.leftovers.get(debugging.scriptOf(fn));
      const copy = concerned.find(({ script }) => script.scriptId === origin);
      const isStale = copy?.functions.some(({ oldText, newText }) => oldText === text && newText !== text);
      return isStale ? [{ path: copy.file.path, name: fn.name }] : [];
    });
}

module.exports = { findLeftBehind, mayHideClosures, predictLookMs };

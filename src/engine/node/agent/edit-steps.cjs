"use strict";
/**
 * Intermediate texts between the old and the new one, for changes that V8 cannot map in one live edit.
 *
 * V8 compares line by line and, in small changed stretches, character by character; a function is found again only if its ends lie outside of what changed.
 */

/** Functions that contain no other function of the list. */
function leavesOf(functions) {
  return functions.filter(
    (outer) => !functions.some((inner) => inner !== outer && outer.before.start <= inner.before.start && inner.before.end <= outer.before.end),
  );
}

/** One function after the other, the last first so that offsets before it stay; at last the new text itself. */
function stepwiseTexts(source, text, functions) {
  const steps = [];
  let current = source;
  for (const { start, end, before } of leavesOf(functions).sort((a, b) => b.before.start - a.before.start)) {
    current = current.slice(0, before.start) + text.slice(start, end) + current.slice(before.end);
    steps.push(current);
  }
  if (current !== text) steps.push(text);
  return steps;
}

/**
 * The new text with the old statements kept in a branch that is never taken.
 * From either side, the way to this text only inserts lines within functions, so that the ends of functions stay.
 */
function bridgeText(source, text, functions) {
  let bridge = text;
  const bodied = leavesOf(functions).filter(({ body }) => body !== undefined);
  for (const { body, end, before } of bodied.sort((a, b) => b.start - a.start)) {
    const oldBody = source.slice(body.before, lastBrace(source, before.end));
    const newBody = bridge.slice(body.start, lastBrace(bridge, end));
    const tail = bridge.slice(lastBrace(bridge, end));
    bridge = `${bridge.slice(0, body.start)}if (false) {${oldBody}} else {${newBody}}\n${tail}`;
  }
  return bridge;
}

/** Where the line of a function's closing brace begins, given where the function ends. */
function lastBrace(text, end) {
  const brace = text.lastIndexOf("}", end - 1);
  return brace - /[ \t]*$/.exec(text.slice(Math.max(0, brace - 200), brace))[0].length;
}

module.exports = { bridgeText, stepwiseTexts };

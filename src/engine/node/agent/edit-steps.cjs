"use strict";
/**
 * Intermediate texts between the old and the new one, for changes that V8 cannot map in one live edit.
 *
 * V8 compares line by line and, in small changed stretches, character by character; a function is found again only if its ends lie outside of what changed.
 */

/** In the live text of a hotpatch; the same length in its other form. */
const mark = "/*rb:0*/";
const otherMark = "/*rb:1*/";

/** Makes a line like no other, so that V8 takes it for none of the old ones. */
const comment = "/*rb*/";
/** Ends a branch that an intermediate text adds, and not the function. */
const branchEnd = `}${comment}\n`;

/** The text with marks at the given places, and what becomes of an offset. */
function withMarks(text, marks) {
  let marked = "";
  let from = 0;
  for (const { at } of marks) {
    marked += text.slice(from, at) + mark;
    from = at;
  }
  return {
    text: marked + text.slice(from),
    // A mark at the very place counts as behind it.
    shift: (offset) => offset + mark.length * marks.filter(({ at }) => at < offset).length,
  };
}

/** Both texts with their marks, and the functions with their places in them. */
function markTexts({ source, live }, marks, functions) {
  const old = withMarks(source, marks.before);
  const fresh = withMarks(live, marks.live);
  const range = ({ start, end }, { shift }) => ({ start: shift(start), end: shift(end) });
  const places = functions.map((found) => ({
    ...found,
    ...range(found, fresh),
    before: range(found.before, old),
    ...(found.body ? { body: { start: fresh.shift(found.body.start), before: old.shift(found.body.before) } } : {}),
    ...(found.lineEnds ? { lineEnds: found.lineEnds.map(fresh.shift) } : {}),
  }));
  return { old: old.text, live: fresh.text, functions: places };
}

/** A function's text as it was before marks were put into it. */
function withoutMarks(text) {
  return text.replaceAll(mark, "").replaceAll(otherMark, "");
}

/** Every edit has to change each marked function, so the marks of neighbouring texts differ; the last text keeps its own. */
function alternateMarks(texts) {
  return texts.map((text, index) => ((texts.length - 1 - index) % 2 === 1 ? text.replaceAll(mark, otherMark) : text));
}

/** The text with the other form of the marks that its neighbour has. */
function markedUnlike(text, neighbour) {
  return neighbour.includes(otherMark) ? text : text.replaceAll(mark, otherMark);
}

/** Functions that contain no other function of the list. */
function leavesOf(functions) {
  return functions.filter(
    (outer) =>
      !functions.some(
        (inner) => inner !== outer && outer.before.start <= inner.before.start && inner.before.end <= outer.before.end,
      ),
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
    bridge = `${bridge.slice(0, body.start)}if (false) {${oldBody}} else {${newBody}${branchEnd}${tail}`;
  }
  return bridge;
}

/**
 * The old text with the new statements beside the old ones, behind a switch: `if (flag) { new } else { old }`.
 * It does what the old text does until the flag is set, so that many files can be edited one turn after the other and take effect in one.
 * Gives the text, and where each function stands in it.
 */
function gatedText(source, text, functions, flag) {
  const gates = functions.filter(({ gate }) => gate).sort((a, b) => a.before.start - b.before.start);
  const inserted = [];
  let gated = "";
  let at = 0;
  for (const { end, body, before, lineEnds } of gates) {
    const from = lineAfter(source, body.before);
    const to = lastBrace(source, before.end);
    const statements = withComments(text, { start: body.start, end: lastBrace(text, end) }, lineEnds);
    const opening = `if (${flag}) {${statements}\n} else {${comment}\n`;
    gated += `${source.slice(at, from)}${opening}${source.slice(from, to)}${branchEnd}`;
    inserted.push({ offset: from, length: opening.length }, { offset: to, length: branchEnd.length });
    at = to;
  }
  gated += source.slice(at);
  const shift = (offset) =>
    inserted.reduce((moved, insertion) => (insertion.offset < offset ? moved + insertion.length : moved), offset);
  const places = functions.map(({ before }) => ({ start: shift(before.start), end: shift(before.end) }));
  return { text: gated, places };
}

function withComments(text, { start, end }, lineEnds) {
  let result = "";
  let from = start;
  for (const at of lineEnds.filter((place) => place >= start && place <= end)) {
    result += text.slice(from, at) + comment;
    from = at;
  }
  return result + text.slice(from, end);
}

/** Behind the line break that follows, where nothing else follows on the line; V8 has to see the line before as unchanged. */
function lineAfter(text, offset) {
  const blank = /^[ \t;]*\r?\n/.exec(text.slice(offset, offset + 400));
  return offset + (blank ? blank[0].length : 0);
}

/** Where the line of a function's closing brace begins, given where the function ends. */
function lastBrace(text, end) {
  const brace = text.lastIndexOf("}", end - 1);
  return brace - /[ \t]*$/.exec(text.slice(Math.max(0, brace - 200), brace))[0].length;
}

module.exports = { alternateMarks, bridgeText, gatedText, markedUnlike, markTexts, stepwiseTexts, withoutMarks };

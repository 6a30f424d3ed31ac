"use strict";
/**
 * The texts that V8 is given for one copy of a file, there and back, with as many marks as they need.
 *
 * V8's comparison of two texts takes time by the square of the lines that differ, and each mark is one. A file with many marks gets those alone that are needed in this process, which takes a look at every function of the heap: a price by the size of the heap, paid in the turn of the edit.
 */

const v8 = require("node:v8");
const {
  alternateMarks,
  bridgeText,
  gatedText,
  markedUnlike,
  markTexts,
  stepwiseTexts,
  withoutMarks,
} = require("./edit-steps.cjs");
const { toText } = require("./closures.cjs");

/** Earlier versions give each closure code of its own after an edit, marks or not. */
const needsMarks = Number(process.versions.v8.split(".")[0]) >= 13;
/** From here on, looking at a heap of a few MB takes less time than comparing the texts with all marks. */
const manyMarks = 250;
const smallHeapBytes = 64 * 1024 * 1024;

/**
 * Whether functions of which closures may hide are to be given their switch one after the other.
 * V8 loses functions where it compares texts that differ in several places, and none where one place differs.
 */
function isGradual({ switchable, functions }) {
  return (
    switchable === true && functions.filter(({ gate }) => gate).length > 1 && functions.some(({ several }) => several)
  );
}

class LiveTexts {
  /**
   * @param debugging the inspector, turned on where `write` and `back` are called
   * @param source the old text
   * @param live the new one, with the name of the copy's own registry
   * @param file the file of the hotpatch
   */
  constructor(debugging, { source, live, file }) {
    this.debugging = debugging;
    this.source = source;
    this.live = live;
    this.file = file;
    this.marks = needsMarks && file.marks ? file.marks : { before: [], live: [] };
    const { there, back } = file.ways ?? {};
    const isPlain = there !== "stepwise" && there !== "bridged" && back === undefined;
    this.isSelective =
      isPlain && this.marks.before.length > manyMarks && v8.getHeapStatistics().used_heap_size < smallHeapBytes;
    /** Places of the marks in the text that is in place on the way back. */
    this.standing = new Set();
    this.write();
  }

  /** `flag`: the expression of a switch, if the old and the new statements shall stand side by side. */
  gate(flag) {
    this.flag = flag;
    this.write();
  }

  /** To be called in the turn of the edit, since which marks are needed may change from one turn to the next. */
  writeForNow() {
    if (this.isSelective) this.write(this.neededMarks());
  }

  write(marks = this.marks) {
    const marked = markTexts(this, marks, this.file.functions);
    this.marked = marked;
    this.text = marked.live;
    this.places = marked.functions;
    const way = this.file.ways?.there;
    if (this.flag !== undefined) this.writeGated();
    else if (way === "stepwise") this.steps = alternateMarks(stepwiseTexts(marked.old, marked.live, marked.functions));
    else if (way === "bridged") this.steps = alternateMarks([this.bridge(), marked.live]);
    else this.steps = [marked.live];
  }

  writeGated() {
    const { old, live, functions } = this.marked;
    const { text, places } = gatedText(old, live, functions, this.flag);
    this.text = text;
    this.places = places;
    this.steps = this.isGradual ? alternateMarks(this.gatedSteps()) : [text];
  }

  /** One function more in each text. */
  gatedSteps() {
    const { old, live, functions } = this.marked;
    const gates = functions.filter(({ gate }) => gate);
    return gates.map((_, count) => {
      const taken = new Set(gates.slice(0, count + 1));
      const subset = functions.map((found) => ({ ...found, gate: taken.has(found) }));
      return gatedText(old, live, subset, this.flag).text;
    });
  }

  /** Each edit of such a file gets a turn of its own. */
  get isGradual() {
    return this.flag !== undefined && isGradual(this.file);
  }

  bridge() {
    return bridgeText(this.marked.old, this.text, this.marked.functions);
  }

  /** What `toString` shows of each function once the last text is in place. */
  shownTexts() {
    // A class keeps the offsets at which it was written, so that after an edit it shows whatever stands there.
    return this.file.functions.map(({ ofClass }, index) => {
      const { start, end } = ofClass ?? this.places[index];
      return this.text.slice(start, end);
    });
  }

  /** Where one edit back to the old text does not do from `current`: the text to go to first. */
  wayBack(current) {
    // In one jump back, V8 could leave functions behind that it took several steps to reach.
    if (this.file.ways?.back === "bridged" && this.flag === undefined && this.steps.length === 1)
      return current === this.text ? markedUnlike(this.bridge(), current) : undefined;
    if (!this.isSelective) return undefined;
    // Functions that had one closure when the marks were set may have several now.
    const needed = this.neededMarks();
    if (current !== this.text && needed.before.every(({ at }) => this.standing.has(at))) return undefined;
    this.standing = new Set(needed.before.map(({ at }) => at));
    return markedUnlike(markTexts(this, needed, this.file.functions).old, current);
  }

  /** A function that has one closure in this process, or none, needs no mark; one of the new text alone may need it. */
  neededMarks() {
    const counts = new Map(this.marks.before.map(({ start, end }) => [this.source.slice(start, end), 0]));
    for (const fn of this.debugging.allFunctions()) {
      if (typeof fn !== "function") continue;
      const text = withoutMarks(toText.call(fn));
      if (counts.has(text)) counts.set(text, counts.get(text) + 1);
    }
    const isNeeded = (text) => (counts.get(text) ?? Number.POSITIVE_INFINITY) > 1;
    return {
      before: this.marks.before.filter(({ start, end }) => isNeeded(this.source.slice(start, end))),
      live: this.marks.live.filter(({ start, end }) => isNeeded(this.live.slice(start, end))),
    };
  }
}

module.exports = { LiveTexts, isGradual };

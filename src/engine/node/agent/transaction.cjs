"use strict";
/**
 * A hotpatch taking effect in this isolate: every loaded copy of every file, in one turn of the event loop, or none.
 *
 * Everything that can be done beforehand is done beforehand, over as many turns as it takes; in the one turn there are only the live edits, the deltas and the check.
 */

const { AddedFiles } = require("./added-files.cjs");
const { now } = require("./debugging.cjs");
const { findLeftBehind, mayHideClosures, predictLookMs } = require("./left-behind.cjs");
const { EditRefused, findCopies } = require("./loaded-copy.cjs");
const { coversModules, replaceOnLoad } = require("./load-hook.cjs");

/** An answer with a code, for the other side of the channel. */
class AgentError extends Error {
  constructor(code, message, details) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

const retryMs = 100;

/** V8's answer that a call of a changed function is under way. */
function isPassing(error) {
  return error instanceof EditRefused && /^BlockedByActive/.test(error.status);
}

/** Gives back what may pass; throws anything else. */
function passing(error) {
  if (isPassing(error)) return error;
  if (error instanceof EditRefused) throw new AgentError("plan/no-way", error.message, { files: [error.path] });
  throw error;
}

class Transaction {
  constructor(debugging, hotpatch) {
    this.debugging = debugging;
    this.hotpatch = hotpatch;
    this.copies = [];
    this.hooks = [];
    this.pauseMs = 0;
    /** Whether every live function was looked at after the edit, or how long that would have taken. */
    this.looked = false;
    this.notLooked = undefined;
    this.added = new AddedFiles(hotpatch.added);
  }

  /** Finds the copies; nothing is changed. */
  find() {
    for (const file of this.hotpatch.files) this.copies.push(...findCopies(this.debugging, file));
    return this;
  }

  async apply(deadlineMs, wasRehearsed) {
    for (const copy of this.copies) this.added.provideFor(copy.filename, copy.file.path);
    // One file alone takes effect with its edit; several need a switch, or their edits have to share one turn.
    const allowGates = this.copies.filter(({ text }) => text !== undefined).length > 1;
    for (const copy of this.copies) await this.prepare(copy, allowGates);
    if (!wasRehearsed) this.checkProvable();
    const end = now() + deadlineMs;
    try {
      for (const copy of this.copies.filter(({ isGated }) => isGated))
        while (!copy.isEdited()) await this.retry(end, () => this.turn(() => this.editGated(copy)));
      await this.retry(end, () => this.turn(() => this.commit()));
    } catch (error) {
      await this.removeRemains(now() + deadlineMs);
      throw error;
    }
  }

  /** Looks for functions that the edit has lost, where some may hide; takes everything back when it finds one. */
  async lookAtAll({ waitMs, wasRehearsed, maxPauseMs }) {
    if (!this.copies.some((copy) => mayHideClosures(copy, wasRehearsed))) return;
    const lookMs = predictLookMs();
    if (lookMs > maxPauseMs) {
      this.notLooked = lookMs;
      return;
    }
    const left = this.turn(() => findLeftBehind(this.debugging, this.copies));
    if (left.length === 0) {
      this.looked = true;
      return;
    }
    const { pauseMs } = this;
    await this.revert(waitMs);
    const names = [...new Set(left.map(({ name, path }) => `${name || "a function"} of ${path}`))].join(", ");
    throw new AgentError(
      "plan/no-way",
      `V8 has left ${left.length} live functions on the old code (${names}), so the hotpatch was taken out again after ${Math.round(pauseMs)} ms; this process needs a restart for the fix.`,
      { files: [...new Set(left.map(({ path }) => path))] },
    );
  }

  /** Without a rehearsal, a live function that shows the new code is the only proof that V8 has found the functions again. */
  checkProvable() {
    const dark = this.copies.find(
      ({ text, functions }) => text !== undefined && functions.every(({ closures }) => closures.length === 0),
    );
    if (dark === undefined) return;
    throw new AgentError(
      "plan/no-way",
      `No live function of ${dark.filename} can be reached, so that nothing could prove the change; allow the rehearsal.`,
      { files: [dark.file.path] },
    );
  }

  async prepare(copy, allowGates) {
    try {
      await copy.prepare(this.added, allowGates);
    } catch (cause) {
      throw new AgentError("plan/no-way", cause.message, { files: [copy.file.path], isFinal: true });
    }
  }

  /** Runs synchronously and keeps the longest time that the event loop stood still. */
  turn(action) {
    const start = now();
    try {
      return action();
    } finally {
      this.pauseMs = Math.max(this.pauseMs, now() - start);
    }
  }

  /**
   * Tries until nothing is in the way: functions that are under way come to their end while the application goes on.
   * `attempt` gives undefined, or the refusal of V8 that may pass.
   */
  async retry(end, attempt) {
    for (;;) {
      const blocked = attempt();
      if (blocked === undefined) return await new Promise((resolve) => setImmediate(resolve));
      if (now() > end) {
        throw new AgentError(
          "plan/active-function",
          `${blocked.message}: a call of a changed function is under way and did not end in time.`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
    }
  }

  /** The next edit of a copy that does nothing until it is switched on. */
  editGated(copy) {
    try {
      if (copy.passed.length === 0) {
        this.checkUnchanged(copy);
        copy.begin();
      }
      // A script that V8 has dropped meanwhile has nothing left to edit.
      if (copy.texts === undefined) return undefined;
      copy.step();
      if (!copy.isEdited()) return undefined;
      copy.switchTo(true);
      const faults = copy.faults();
      copy.switchTo(false);
      if (faults.length > 0)
        throw new AgentError("plan/no-way", `The live edit did not take effect: ${faults.join("; ")}.`, {
          files: [copy.file.path],
        });
    } catch (error) {
      return passing(error);
    }
    return undefined;
  }

  checkUnchanged(copy) {
    if (!copy.isUnchanged())
      throw new AgentError("target/version-mismatch", `${copy.filename} was changed while the hotpatch was prepared.`);
  }

  /** Undefined when the hotpatch is in place; otherwise nothing is, and the answer says what was in the way. */
  commit() {
    const direct = this.copies.filter(({ isGated }) => !isGated);
    const touched = [];
    try {
      this.hooks = this.hotpatch.files.map((file) => replaceOnLoad(file, this.added));
      for (const copy of direct) {
        this.checkUnchanged(copy);
        touched.push(copy);
        copy.edit();
      }
      for (const copy of this.copies) this.extend(copy);
      for (const copy of this.copies) copy.switchTo(true);
      this.checkEffect();
    } catch (error) {
      this.endHooks();
      for (const copy of this.copies.toReversed()) copy.takeBackValues();
      for (const copy of touched.toReversed()) copy.restoreText();
      return passing(error);
    }
    return undefined;
  }

  extend(copy) {
    try {
      copy.extend(this.added, this.copies);
    } catch (error) {
      const message = `The values of ${copy.filename} could not be computed: ${error.message}`;
      throw new AgentError("plan/no-way", message, { files: [copy.file.path], isFinal: true });
    }
  }

  checkEffect() {
    const faulty = this.copies
      .map((copy) => ({ copy, faults: copy.faults() }))
      .filter(({ faults }) => faults.length > 0);
    if (faulty.length === 0) return;
    const faults = faulty.flatMap((entry) => entry.faults).join("; ");
    throw new AgentError("plan/no-way", `The live edit did not take effect: ${faults}.`, {
      files: faulty.map(({ copy }) => copy.file.path),
    });
  }

  endHooks() {
    for (const hook of this.hooks) hook.end();
    this.hooks = [];
  }

  async revert(deadlineMs) {
    for (const copy of this.copies) {
      if (!copy.isAsApplied()) {
        throw new AgentError(
          "target/conflicting-hotpatch",
          `${copy.filename} was changed after the hotpatch was applied; take that back first.`,
        );
      }
    }
    this.pauseMs = 0;
    this.keptFixed = this.loadedLater();
    const end = now() + deadlineMs;
    await this.retry(end, () => this.turn(() => this.takeBack()));
    await this.removeRemains(end);
    this.leftBehind = this.copies.flatMap((copy) => copy.leftBehind());
  }

  /** One turn. Undefined when everything does what it did before; otherwise the hotpatch is still in place as a whole. */
  takeBack() {
    const restored = [];
    for (const copy of this.copies.toReversed()) copy.takeBackValues();
    try {
      for (const copy of this.copies.filter(({ isGated }) => !isGated).toReversed()) {
        restored.push(copy);
        copy.restoreText();
      }
    } catch (error) {
      // Back to entirely new, so that the process is never between the two.
      for (const copy of restored) if (!copy.isInPlace()) copy.edit();
      for (const copy of this.copies) this.extend(copy);
      for (const copy of this.copies) copy.switchTo(true);
      if (isPassing(error)) return error;
      throw new AgentError("failure/revert", error.message);
    }
    this.endHooks();
    return undefined;
  }

  /** The text from before in copies that do what they did before but carry another one, a turn for each edit. */
  async removeRemains(end) {
    for (const copy of this.copies) {
      while (copy.passed.length > 0) {
        await this.retry(end, () =>
          this.turn(() => {
            try {
              copy.restoreText();
            } catch (error) {
              return passing(error);
            }
            return undefined;
          }),
        );
      }
    }
  }

  findings() {
    const findings = this.copies.flatMap((copy) => [
      ...copy.findings(),
      ...copy.faults().map((fault) => ({ subject: copy.filename, state: "broken", evidence: fault })),
    ]);
    if (this.looked)
      findings.push({ subject: "every live function", state: "proven", evidence: "none was left on the old code" });
    if (this.notLooked !== undefined)
      findings.push({
        subject: "functions that nothing leads to from the exports",
        state: "unproven",
        evidence: `not looked at, since that would take about ${Math.round(this.notLooked)} ms; a larger --max-pause allows it`,
      });
    if (coversModules || this.hotpatch.files.every(({ format }) => format !== "module")) return findings;
    const evidence = `Node.js ${process.versions.node} gives no way to fix ES modules as they load; it has since 22.15`;
    return [...findings, { subject: "ES modules that are loaded later", state: "unproven", evidence }];
  }

  /** Files that were loaded with the fixed text while the hotpatch was in place; nothing takes them back. */
  loadedLater() {
    return this.hooks.flatMap((hook) => hook.filenames());
  }
}

module.exports = { AgentError, Transaction };

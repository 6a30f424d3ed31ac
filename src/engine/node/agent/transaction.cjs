"use strict";
/**
 * A hotpatch taking effect in this isolate: every loaded copy of every file, in one turn of the event loop, or none.
 *
 * Everything that can be done beforehand is done beforehand, over as many turns as it takes; in the one turn there are only the live edits, the deltas and the check.
 */

const Module = require("node:module");
const path = require("node:path");
const { now } = require("./debugging.cjs");
const { EditRefused, findCopies } = require("./loaded-copy.cjs");
const { replaceOnLoad } = require("./load-hook.cjs");

/** An answer with a code, for the other side of the channel. */
class AgentError extends Error {
  constructor(code, message, details) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

const retryMs = 100;

class Transaction {
  constructor(debugging, hotpatch) {
    this.debugging = debugging;
    this.hotpatch = hotpatch;
    this.copies = [];
    this.hooks = [];
    this.pauseMs = 0;
    this.virtualModules = new Map();
  }

  /** Finds the copies; nothing is changed. */
  find() {
    for (const file of this.hotpatch.files) this.copies.push(...findCopies(this.debugging, file));
    return this.copies;
  }

  async apply(deadlineMs) {
    this.provideAddedFiles();
    for (const copy of this.copies) {
      try {
        await copy.prepare(this.virtualModules);
      } catch (cause) {
        throw new AgentError("plan/no-way", cause.message, { files: [copy.file.path], isFinal: true });
      }
    }
    await this.retry(deadlineMs, () => this.commit());
  }

  /** Tries until nothing is in the way: functions that are under way come to their end while the application goes on. */
  async retry(deadlineMs, attempt) {
    const end = now() + deadlineMs;
    for (;;) {
      const blocked = attempt();
      if (blocked === undefined) return;
      if (now() > end) {
        throw new AgentError("plan/active-function", `${blocked.message}: a call of a changed function is under way and did not end in time.`);
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
    }
  }

  /** One turn. Undefined when the hotpatch is in place; otherwise nothing is, and the answer says what was in the way. */
  commit() {
    const start = now();
    const edited = [];
    try {
      for (const copy of this.copies) {
        if (!copy.isUnchanged()) throw new AgentError("target/version-mismatch", `${copy.filename} was changed while the hotpatch was prepared.`);
      }
      this.hooks = this.hotpatch.files.map(replaceOnLoad);
      for (const copy of this.copies) {
        edited.push(copy);
        copy.edit();
      }
      for (const copy of this.copies) this.extend(copy);
      const faults = this.copies.flatMap((copy) => copy.faults());
      if (faults.length > 0) {
        const files = this.copies.filter((copy) => copy.faults().length > 0).map(({ file }) => file.path);
        throw new AgentError("plan/no-way", `The live edit did not take effect: ${faults.join("; ")}.`, { files });
      }
    } catch (error) {
      this.takeBack(edited);
      if (error instanceof EditRefused && /^BlockedByActive/.test(error.status)) return error;
      if (error instanceof EditRefused) throw new AgentError("plan/no-way", error.message, { files: [error.path] });
      throw error;
    } finally {
      this.pauseMs = Math.max(this.pauseMs, now() - start);
    }
    return undefined;
  }

  extend(copy) {
    try {
      copy.extend(this.virtualModules, this.copies);
    } catch (error) {
      const message = `The values of ${copy.filename} could not be computed: ${error.message}`;
      throw new AgentError("plan/no-way", message, { files: [copy.file.path], isFinal: true });
    }
  }

  takeBack(edited) {
    for (const hook of this.hooks) hook.end();
    this.hooks = [];
    for (const copy of edited.toReversed()) copy.restore();
  }

  async revert(deadlineMs) {
    for (const copy of this.copies) {
      if (copy.text !== undefined && this.debugging.trySource(copy.script.scriptId) !== copy.text) {
        throw new AgentError("target/conflicting-hotpatch", `${copy.filename} was changed after the hotpatch was applied; take that back first.`);
      }
    }
    await this.retry(deadlineMs, () => this.restore());
  }

  /** One turn. Undefined when everything is as it was before; otherwise the hotpatch is still in place as a whole. */
  restore() {
    const start = now();
    const restored = [];
    try {
      for (const copy of this.copies.toReversed()) {
        copy.restore();
        restored.push(copy);
      }
    } catch (error) {
      for (const copy of restored) this.redo(copy);
      // Back to entirely new, so that the process is never between the two.
      if (error instanceof EditRefused && /^BlockedByActive/.test(error.status)) return error;
      throw new AgentError("failure/revert", error.message);
    } finally {
      this.pauseMs = now() - start;
    }
    for (const hook of this.hooks) hook.end();
    this.hooks = [];
    this.leftBehind = this.copies.flatMap((copy) => copy.leftBehind());
    return undefined;
  }

  /** A revert that stops midway goes back to entirely new. */
  redo(copy) {
    copy.edit();
    copy.extend(this.virtualModules, this.copies);
  }

  findings() {
    return this.copies.flatMap((copy) => [
      ...copy.findings(),
      ...copy.faults().map((fault) => ({ subject: copy.filename, holds: false, evidence: fault })),
    ]);
  }

  loadedLater() {
    return this.hooks.reduce((sum, hook) => sum + hook.count(), 0);
  }

  /** Files that only the fixed version has exist for the new code alone, beside the copy that needs them. */
  provideAddedFiles() {
    for (const copy of this.copies) {
      const root = copy.filename.slice(0, copy.filename.length - copy.file.path.length);
      if (!copy.filename.endsWith(copy.file.path)) continue;
      for (const { path: relative, text } of this.hotpatch.added) {
        const filename = path.join(root, relative);
        if (!this.virtualModules.has(filename)) this.virtualModules.set(filename, this.virtualModule(filename, text));
      }
    }
  }

  virtualModule(filename, text) {
    let module;
    return () => {
      if (module) return module.exports;
      module = new Module(filename);
      module.filename = filename;
      module.paths = Module._nodeModulePaths(path.dirname(filename));
      const load = module.require;
      module.require = (specifier) => {
        const sibling = /^\.{1,2}\//.test(specifier) ? path.resolve(path.dirname(filename), specifier) : undefined;
        for (const candidate of [sibling, `${sibling}.js`]) {
          const virtual = this.virtualModules.get(candidate);
          if (virtual) return virtual();
        }
        return load.call(module, specifier);
      };
      if (filename.endsWith(".json")) module.exports = JSON.parse(text);
      else module._compile(text, filename);
      return module.exports;
    };
  }
}

module.exports = { AgentError, Transaction };

"use strict";
/**
 * The hotpatches of one isolate: the main thread, or a worker.
 */

const v8 = require("node:v8");
const { Debugging, now } = require("./debugging.cjs");
const { findLeftBehind } = require("./left-behind.cjs");
const { findMismatched } = require("./loaded-copy.cjs");
const { AgentError, Transaction } = require("./transaction.cjs");

class Isolate {
  constructor() {
    this.debugging = new Debugging();
    /** Applied hotpatches by id. */
    this.applied = new Map();
  }

  describeApplied() {
    return [...this.applied.values()].map(describe);
  }

  probe(hotpatch) {
    const { debugging } = this;
    const start = now();
    return this.withDebugger(() => {
      const { copies } = new Transaction(debugging, hotpatch).find();
      return {
        heapUsedBytes: v8.getHeapStatistics().used_heap_size,
        pauseMs: now() - start,
        copies: copies.map(({ filename, file }) => ({ filename, path: file.path })),
        mismatched: findMismatched(debugging, hotpatch, copies),
        conflicts: this.conflictsWith(hotpatch),
      };
    });
  }

  /** Applied hotpatches that change the same files, or another build of the same hotpatch: they have to be taken back first. */
  conflictsWith({ id, digest, files }) {
    const texts = new Set(files.map(({ before }) => before.sha256));
    return [...this.applied.values()]
      .map(({ hotpatch }) => hotpatch)
      .filter((other) =>
        other.id === id ? other.digest !== digest : other.files.some(({ before }) => texts.has(before.sha256)),
      )
      .map((other) => other.id);
  }

  /** `planned`: the copies that the plan was made for; `wasRehearsed`: whether the texts have been through a sacrificial process; `maxPauseMs`: for how long a look at every function may hold the event loop. */
  apply({ hotpatch, waitMs, planned, wasRehearsed = true, maxPauseMs = 0 }) {
    const { applied, debugging } = this;
    if (applied.has(hotpatch.id)) throw new AgentError("target/already-applied", `${hotpatch.id} is in place already.`);
    const [conflict] = this.conflictsWith(hotpatch);
    if (conflict !== undefined) {
      throw new AgentError(
        "target/conflicting-hotpatch",
        `${conflict} is in place and changes the same files; take it back first.`,
      );
    }
    const start = now();
    return this.withDebugger(async () => {
      const transaction = new Transaction(debugging, hotpatch).find();
      if (planned) checkPlanned(transaction, planned);
      // Set ahead, so that a second request cannot start over while this one is under way.
      applied.set(hotpatch.id, transaction);
      try {
        await transaction.apply(waitMs, wasRehearsed);
        await transaction.lookAtAll({ waitMs, wasRehearsed, maxPauseMs });
      } catch (error) {
        applied.delete(hotpatch.id);
        throw error;
      }
      transaction.appliedAt = new Date().toISOString();
      return {
        ...describe(transaction),
        enableMs: debugging.enableMs,
        totalMs: now() - start,
        findings: transaction.findings(),
      };
    });
  }

  /** Live functions anywhere that a live edit has left on their former code; for rehearsals. */
  findLeftBehind(id) {
    return this.withDebugger(() => findLeftBehind(this.debugging, this.applied.get(id).copies));
  }

  verify({ id, digest }) {
    const transaction = this.applied.get(id);
    if (transaction?.appliedAt === undefined) return { state: "absent", findings: [] };
    const other = transaction.hotpatch.digest;
    if (digest !== undefined && other !== digest) {
      return {
        state: "absent",
        findings: [{ subject: id, state: "broken", evidence: `another build of it is in place (digest ${other})` }],
      };
    }
    const findings = transaction.findings();
    return { state: findings.some(({ state }) => state === "broken") ? "broken" : "in-place", findings };
  }

  async revert({ id, waitMs }) {
    const transaction = this.applied.get(id);
    if (transaction?.appliedAt === undefined) throw new AgentError("target/not-applied", `${id} is not in place here.`);
    const start = now();
    return this.withDebugger(async () => {
      await transaction.revert(waitMs);
      this.applied.delete(id);
      const { pauseMs, leftBehind, keptFixed } = transaction;
      return { id, pauseMs, totalMs: now() - start, leftBehind, keptFixed };
    });
  }

  /** The debugger is on while `use` runs, and while its promise is open. */
  withDebugger(use) {
    const { debugging } = this;
    debugging.acquire();
    try {
      const result = use();
      if (result instanceof Promise) return result.finally(() => debugging.release());
      debugging.release();
      return result;
    } catch (error) {
      debugging.release();
      throw error;
    }
  }
}

/** What is loaded now must be what the plan, the rehearsal and the budget were made for. */
function checkPlanned({ copies }, planned) {
  const names = (list) =>
    list
      .map((copy) => `${copy.filename}\0${copy.path}`)
      .sort()
      .join("\n");
  const found = copies.map(({ filename, file }) => ({ filename, path: file.path }));
  if (names(found) === names(planned)) return;
  throw new AgentError(
    "target/version-mismatch",
    `The process has loaded ${found.length} files that the hotpatch changes, and the plan was made for ${planned.length}; apply it again.`,
  );
}

function describe(transaction) {
  const { hotpatch, copies, pauseMs, appliedAt } = transaction;
  return {
    id: hotpatch.id,
    digest: hotpatch.digest,
    appliedAt,
    pauseMs,
    copies: copies.map(({ filename, file }) => ({ filename, path: file.path })),
    loadedLater: transaction.loadedLater().length,
  };
}

module.exports = { Isolate };

"use strict";
/**
 * What can be asked of a process: look, apply a hotpatch, prove it, take it back.
 *
 * The signature, the target and the budget were checked on the other side of the channel; here is checked again what only this side can know: the texts that V8 holds, and the functions that live.
 */

const Module = require("node:module");
const v8 = require("node:v8");
const { Debugging, now } = require("./debugging.cjs");
const { coversModules } = require("./load-hook.cjs");
const { findMismatched } = require("./loaded-copy.cjs");
const { AgentError, Transaction } = require("./transaction.cjs");

const moduleLimit = 20_000;

function createMethods() {
  const debugging = new Debugging();
  /** Applied hotpatches by id. */
  const applied = new Map();

  function describe(transaction) {
    const { hotpatch, copies, pauseMs, appliedAt } = transaction;
    return {
      id: hotpatch.id,
      digest: hotpatch.digest,
      appliedAt,
      pauseMs,
      copies: copies.map(({ filename, file }) => ({ filename, path: file.path })),
      loadedLater: transaction.loadedLater(),
    };
  }

  function inUse(use) {
    debugging.acquire();
    try {
      const result = use();
      if (!(result instanceof Promise)) {
        debugging.release();
        return result;
      }
      return result.finally(() => debugging.release());
    } catch (error) {
      debugging.release();
      throw error;
    }
  }

  return {
    /** Costs nothing: no debugger, no walk over the heap. */
    status() {
      return {
        pid: process.pid,
        node: process.versions.node,
        v8: process.versions.v8,
        heapUsedBytes: v8.getHeapStatistics().used_heap_size,
        uptimeSeconds: process.uptime(),
        argv: process.argv.slice(0, 8),
        coversModules,
        applied: [...applied.values()].map(describe),
      };
    },

    /** The files of the CommonJS modules that are loaded. */
    modules() {
      return Object.keys(Module._cache).slice(0, moduleLimit);
    },

    /** Every script that came from a file, ES modules as well; turns the debugger on. */
    scripts() {
      return inUse(() => [...new Set([...debugging.scripts.values()].map(({ url }) => url))].filter((url) => /^(file:|\/)/.test(url)).slice(0, moduleLimit));
    },

    /** Which files of the hotpatch are loaded here, as the hotpatch knows them. */
    probe({ hotpatch }) {
      const start = now();
      return inUse(() => {
        const copies = new Transaction(debugging, hotpatch).find();
        return {
          heapUsedBytes: v8.getHeapStatistics().used_heap_size,
          pauseMs: now() - start,
          copies: copies.map(({ filename, file }) => ({ filename, path: file.path })),
          mismatched: findMismatched(debugging, hotpatch, copies),
        };
      });
    },

    async apply({ hotpatch, waitMs }) {
      if (applied.has(hotpatch.id)) throw new AgentError("target/already-applied", `${hotpatch.id} is in place already.`);
      const start = now();
      return inUse(async () => {
        const transaction = new Transaction(debugging, hotpatch);
        transaction.find();
        await transaction.apply(waitMs);
        transaction.appliedAt = new Date().toISOString();
        applied.set(hotpatch.id, transaction);
        return { ...describe(transaction), enableMs: debugging.enableMs, totalMs: now() - start, findings: transaction.findings() };
      });
    },

    verify({ id }) {
      const transaction = applied.get(id);
      return transaction === undefined ? { state: "absent", findings: [] } : verdict(transaction);
    },

    revert({ id, waitMs }) {
      const transaction = applied.get(id);
      if (transaction === undefined) throw new AgentError("target/not-applied", `${id} is not in place here.`);
      const start = now();
      return inUse(async () => {
        await transaction.revert(waitMs);
        applied.delete(id);
        return { id, pauseMs: transaction.pauseMs, totalMs: now() - start, leftBehind: transaction.leftBehind };
      });
    },
  };
}

function verdict(transaction) {
  const findings = transaction.findings();
  return { state: findings.every(({ holds }) => holds) ? "in-place" : "broken", findings };
}

module.exports = { createMethods };

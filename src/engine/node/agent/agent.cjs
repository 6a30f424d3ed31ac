"use strict";
/**
 * What can be asked of a process: look, apply a hotpatch, prove it, take it back.
 *
 * The signature, the target and the budget were checked on the other side of the channel; here is checked again what only this side can know: the texts that V8 holds, and the functions that live.
 */

const Module = require("node:module");
const v8 = require("node:v8");
const { Isolate } = require("./isolate.cjs");
const { coversModules } = require("./load-hook.cjs");
const { Workers } = require("./workers.cjs");

const moduleLimit = 20_000;

/** `isWorker`: this is the agent of a worker thread, which the one of the main thread speaks for. */
function createMethods({ isWorker = false } = {}) {
  const isolate = new Isolate();
  const fleet = isWorker ? undefined : new Fleet(isolate);
  return {
    /** Costs nothing: no debugger, no walk over the heap. */
    status: () => ({
      pid: process.pid,
      node: process.versions.node,
      v8: process.versions.v8,
      heapUsedBytes: v8.getHeapStatistics().used_heap_size,
      uptimeSeconds: process.uptime(),
      argv: process.argv.slice(0, 8),
      coversModules,
      applied: isolate.describeApplied(),
    }),
    /** The files of the CommonJS modules that are loaded. */
    modules: () => Object.keys(Module._cache).slice(0, moduleLimit),
    /** Which files of the hotpatch are loaded here, as the hotpatch knows them. */
    probe: ({ hotpatch }) => isolate.probe(hotpatch),
    apply: (params) => (fleet ?? isolate).apply(params),
    verify: (params) => (fleet ?? isolate).verify(params),
    revert: (params) => (fleet ?? isolate).revert(params),
  };
}

/** The main thread and its workers. The main thread goes first; when a worker refuses, all go back. */
class Fleet {
  constructor(isolate) {
    this.isolate = isolate;
    this.workers = new Workers((worker) => this.serveNew(worker));
    /** What a new worker has to be given: the parameters of what was applied, by id. */
    this.standing = new Map();
  }

  async apply(params) {
    const { hotpatch, agentText } = params;
    const done = await this.isolate.apply(params);
    const served = [];
    try {
      for (const worker of this.workers.watch()) {
        const answer = await this.workers.call(worker, agentText, "apply", { hotpatch, waitMs: params.waitMs });
        if (answer) served.push({ worker, answer });
      }
    } catch (error) {
      for (const { worker } of served)
        await this.workers.call(worker, agentText, "revert", { id: hotpatch.id, waitMs: params.waitMs });
      await this.isolate.revert({ id: hotpatch.id, waitMs: params.waitMs });
      if (this.standing.size === 0) this.workers.unwatch();
      throw error;
    }
    this.standing.set(hotpatch.id, params);
    return {
      ...done,
      pauseMs: Math.max(done.pauseMs, ...served.map(({ answer }) => answer.pauseMs)),
      workers: served.length,
      findings: [...done.findings, ...served.flatMap(({ worker, answer }) => inWorker(worker, answer.findings))],
    };
  }

  async verify({ id }) {
    const verdict = this.isolate.verify({ id });
    const standing = this.standing.get(id);
    if (standing === undefined) return verdict;
    const findings = [...verdict.findings];
    let { state } = verdict;
    for (const worker of this.workers.watch()) {
      const answer = await this.workers.call(worker, standing.agentText, "verify", { id });
      if (answer === undefined) continue;
      if (answer.state !== "in-place") state = "broken";
      findings.push(...inWorker(worker, answer.findings));
    }
    return { state, findings };
  }

  async revert(params) {
    const standing = this.standing.get(params.id);
    const done = await this.isolate.revert(params);
    if (standing === undefined) return done;
    this.standing.delete(params.id);
    const answers = [];
    for (const worker of this.workers.watch()) {
      const answer = await this.workers.call(worker, standing.agentText, "revert", params);
      if (answer) answers.push(answer);
    }
    if (this.standing.size === 0) this.workers.unwatch();
    return {
      ...done,
      pauseMs: Math.max(done.pauseMs, ...answers.map(({ pauseMs }) => pauseMs)),
      leftBehind: [...done.leftBehind, ...answers.flatMap(({ leftBehind }) => leftBehind)],
    };
  }

  /** Before the first line of the worker runs, so that its files are fixed as they load. */
  async serveNew(worker) {
    for (const { hotpatch, agentText, waitMs } of this.standing.values()) {
      await this.workers.call(worker, agentText, "apply", { hotpatch, waitMs });
    }
  }
}

function inWorker({ title }, findings) {
  return findings.map((finding) => ({ ...finding, subject: `${title || "worker"}: ${finding.subject}` }));
}

module.exports = { createMethods };

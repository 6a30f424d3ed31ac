"use strict";
/**
 * What can be asked of a process: look, apply a hotpatch, prove it, take it back.
 *
 * The signature, the target and the budget were checked on the other side of the channel; here is checked again what only this side can know: the texts that V8 holds, and the functions that live.
 */

const Module = require("node:module");
const v8 = require("node:v8");
const vm = require("node:vm");
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
    /** Gives the bytes of the heap that are used afterwards. */
    collectGarbage,
    /** The files of the CommonJS modules that are loaded. */
    modules: () => Object.keys(Module._cache).slice(0, moduleLimit),
    /** Which files of the hotpatch are loaded here, as the hotpatch knows them. */
    probe: ({ hotpatch }) => isolate.probe(hotpatch),
    apply: (params) => (fleet ?? isolate).apply(params),
    /** Applies what is not in place yet. */
    ensure: ({ hotpatch, waitMs }) => (isolate.applied.has(hotpatch.id) ? null : isolate.apply({ hotpatch, waitMs })),
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
        const answer = await this.workers.call(worker, agentText, "apply", {
          hotpatch,
          waitMs: params.waitMs,
          maxPauseMs: params.maxPauseMs,
        });
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

  async verify(params) {
    const { id } = params;
    const verdict = this.isolate.verify(params);
    const standing = this.standing.get(id);
    if (standing === undefined) return verdict;
    const findings = [...verdict.findings];
    let { state } = verdict;
    for (const worker of this.workers.watch()) {
      const answer = await this.workers.call(worker, standing.agentText, "verify", params);
      if (answer === undefined) continue;
      if (answer.state !== "in-place") state = "broken";
      findings.push(...inWorker(worker, answer.findings));
    }
    return { state, findings };
  }

  /** The workers go first; when one refuses, those that went before get the hotpatch again. */
  async revert(params) {
    const standing = this.standing.get(params.id);
    if (standing === undefined) return await this.isolate.revert(params);
    // A worker that starts from now on needs nothing.
    this.standing.delete(params.id);
    const answers = [];
    try {
      for (const worker of this.workers.watch()) {
        const answer = await this.workers.call(worker, standing.agentText, "revert", params);
        if (answer) answers.push(answer);
      }
      answers.push(await this.isolate.revert(params));
    } catch (error) {
      this.standing.set(params.id, standing);
      for (const worker of this.workers.watch())
        await this.workers.call(worker, standing.agentText, "ensure", standing);
      throw error;
    }
    if (this.standing.size === 0) this.workers.unwatch();
    return {
      ...answers.at(-1),
      pauseMs: Math.max(...answers.map(({ pauseMs }) => pauseMs)),
      leftBehind: answers.flatMap(({ leftBehind }) => leftBehind),
      keptFixed: [...new Set(answers.flatMap(({ keptFixed }) => keptFixed))],
    };
  }

  /** Before the first line of the worker runs, so that its files are fixed as they load. */
  async serveNew(worker) {
    for (const { hotpatch, agentText, waitMs } of this.standing.values()) {
      await this.workers.call(worker, agentText, "ensure", { hotpatch, waitMs });
    }
  }
}

function collectGarbage() {
  v8.setFlagsFromString("--expose-gc");
  try {
    vm.runInNewContext("gc")();
  } finally {
    v8.setFlagsFromString("--no-expose-gc");
  }
  return v8.getHeapStatistics().used_heap_size;
}

function inWorker({ title }, findings) {
  return findings.map((finding) => ({ ...finding, subject: `${title || "worker"}: ${finding.subject}` }));
}

module.exports = { createMethods };

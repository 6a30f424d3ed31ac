"use strict";
/**
 * Worker threads: each has an isolate of its own, with its own copies of everything, and is patched by an agent of its own.
 *
 * The main thread speaks to them through the inspector's NodeWorker domain, without a port. While a hotpatch is in place, a new worker is served as soon as its own code starts; before that its isolate is not ready for anything.
 */

const diagnostics = require("node:diagnostics_channel");
const inspector = require("node:inspector");

const answerMs = 15_000;

/** Node 20 loses messages that hold anything but ASCII. */
function asciiJson(value) {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

class Workers {
  /** `serve` is called with each worker that starts later. */
  constructor(serve) {
    this.serve = serve;
    this.served = new Set();
    this.onStart = ({ worker }) => worker.once("online", () => this.serveStarted());
    this.session = undefined;
    this.attached = new Map();
    this.waiting = new Map();
    this.lastId = 0;
  }

  /** Attaches to the workers that run, and to those to come; gives the running ones. */
  watch() {
    if (this.session) return [...this.attached.values()];
    const session = new inspector.Session();
    session.connect();
    session.on("NodeWorker.attachedToWorker", ({ params }) => this.onAttached(params));
    session.on("NodeWorker.detachedFromWorker", ({ params }) => this.onDetached(params.sessionId));
    session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => this.onMessage(params));
    this.session = session;
    session.post("NodeWorker.enable", { waitForDebuggerOnStart: false });
    for (const sessionId of this.attached.keys()) this.served.add(sessionId);
    diagnostics.subscribe("worker_threads", this.onStart);
    return [...this.attached.values()];
  }

  unwatch() {
    diagnostics.unsubscribe("worker_threads", this.onStart);
    this.session?.post("NodeWorker.disable");
    this.session?.disconnect();
    this.session = undefined;
    this.attached.clear();
    this.served.clear();
  }

  onAttached({ sessionId, workerInfo }) {
    this.attached.set(sessionId, { sessionId, title: workerInfo.title, url: workerInfo.url });
  }

  /** A failure here must not reach the application; `verify` tells of a worker that was not served. */
  async serveStarted() {
    for (const worker of [...this.attached.values()].filter(({ sessionId }) => !this.served.has(sessionId))) {
      this.served.add(worker.sessionId);
      await Promise.resolve(this.serve(worker)).catch(() => undefined);
    }
  }

  onDetached(sessionId) {
    this.attached.delete(sessionId);
    this.served.delete(sessionId);
    for (const [id, call] of this.waiting) {
      if (call.sessionId !== sessionId) continue;
      this.waiting.delete(id);
      call.settle({ gone: true });
    }
  }

  onMessage({ sessionId, message }) {
    const { id, result, error } = JSON.parse(message);
    const call = this.waiting.get(id);
    if (call === undefined || call.sessionId !== sessionId) return;
    this.waiting.delete(id);
    call.settle({ result, error });
  }

  send(sessionId, method, params, timeoutMs) {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`A worker thread did not answer within ${timeoutMs} ms.`));
      }, timeoutMs);
      timer.unref();
      const settle = ({ result, error, gone }) => {
        clearTimeout(timer);
        if (gone) resolve(undefined);
        else if (error) reject(new Error(error.message));
        else resolve(result);
      };
      this.waiting.set(id, { sessionId, settle });
      this.session.post(
        "NodeWorker.sendMessageToWorker",
        { sessionId, message: asciiJson({ id, method, params }) },
        (error) => {
          if (!error) return;
          this.waiting.delete(id);
          settle({ gone: true });
        },
      );
    });
  }

  /** Calls a method of the agent in the worker, which is put there if need be; undefined when the worker has ended. */
  async call(worker, agentText, method, params) {
    // What a worker gets to after its time must not be done any more, since the others have gone back by then.
    const expression = `(() => {
  if (Date.now() > ${Date.now() + answerMs}) throw new Error("The worker thread got to this too late.");
  const key = Symbol.for("rebootless.worker");
  globalThis[key] ??= (${agentText})((id) => process.getBuiltinModule(id))("./agent.cjs").createMethods({ isWorker: true });
  return Promise.resolve(globalThis[key][${JSON.stringify(method)}](${JSON.stringify(params)})).then(
    (result) => encodeURIComponent(JSON.stringify({ result })),
    (error) => encodeURIComponent(JSON.stringify({ error: { code: error.code, message: error.message, details: error.details } })));
})()`;
    const timeoutMs = 2 * answerMs + (params.waitMs ?? 0);
    const command = { expression, awaitPromise: true, returnByValue: true };
    const answer = await this.send(worker.sessionId, "Runtime.evaluate", command, timeoutMs);
    if (answer === undefined) return undefined;
    if (answer.exceptionDetails)
      throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text);
    const { result, error } = JSON.parse(decodeURIComponent(answer.result.value));
    if (error) throw Object.assign(new Error(error.message), { code: error.code, details: error.details });
    return result;
  }
}

module.exports = { Workers };

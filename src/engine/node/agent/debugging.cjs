"use strict";
/**
 * The inspector, used from within the process that it inspects: every call answers before it returns.
 *
 * No port is opened. The Debugger domain is on only while a hotpatch is looked for, applied or taken back, since turning it on walks the heap.
 */

const inspector = require("node:inspector");
const v8 = require("node:v8");

/** Milliseconds since an arbitrary moment. */
function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}

class Debugging {
  constructor() {
    this.session = undefined;
    this.scripts = new Map();
    /** Scripts that V8 made to hold a text that a live edit replaced; functions that the edit did not find stay with them. By id, with the script that was edited. */
    this.leftovers = new Map();
    this.edited = false;
    this.enableMs = 0;
    this.users = 0;
    this.timer = undefined;
  }

  get isOn() {
    return this.session !== undefined;
  }

  /** Turns the Debugger domain on, once, for whoever asks; `release` for each `acquire`. */
  acquire() {
    this.users++;
    clearTimeout(this.timer);
    if (!this.session) this.connect();
  }

  connect() {
    allowLiveEdit();
    this.edited = false;
    this.scripts = new Map();
    const session = new inspector.Session();
    session.connect();
    session.on("Debugger.scriptParsed", ({ params }) => this.onScript(params));
    this.session = session;
    const start = now();
    this.post("Debugger.enable", { maxScriptsCacheSize: 0 });
    // A `debugger` statement of the application must not stop it.
    this.post("Debugger.setSkipAllPauses", { skip: true });
    this.enableMs = now() - start;
  }

  /** The domain stays on for a moment, so that a command right after the other does not pay for turning it on again. */
  release() {
    this.users--;
    clearTimeout(this.timer);
    // The inspector forgets an edited script once V8 has collected the text that it had before, so the next use lists the scripts anew.
    if (this.edited) {
      this.close();
      return;
    }
    this.timer = setTimeout(() => this.close(), 3000);
    this.timer.unref();
  }

  close() {
    if (this.users > 0 || !this.session) return;
    const { session } = this;
    this.session = undefined;
    this.edited = false;
    this.scripts = new Map();
    session.disconnect();
  }

  post(method, params) {
    let result;
    let failure;
    this.session.post(method, params, (error, answer) => {
      failure = error;
      result = answer;
    });
    if (failure) throw new Error(`${method}: ${failure.message}`);
    return result;
  }

  source(scriptId) {
    return this.knowing(() => this.post("Debugger.getScriptSource", { scriptId }).scriptSource);
  }

  /** After an edit, the inspector forgets a script as soon as V8 collects its former text; a new session knows it again. */
  knowing(action) {
    try {
      return action();
    } catch (error) {
      if (!this.edited || !/No script/.test(error.message)) throw error;
      this.session.disconnect();
      this.connect();
      return action();
    }
  }

  /** Undefined when V8 has dropped the script in the meantime. */
  trySource(scriptId) {
    try {
      return this.source(scriptId);
    } catch {
      // The inspector knows the script no more.
      return undefined;
    }
  }

  onScript(script) {
    if (!this.leftovers.has(script.scriptId)) this.scripts.set(script.scriptId, script);
  }

  /** The id of a script made now: V8 counts them upwards. */
  nextScriptId() {
    marks++;
    // Each mark is a text of its own, since V8 does not compile one twice; an exception says which script it came from.
    const answer = this.post("Runtime.evaluate", { expression: `throw ${marks};`, silent: true });
    return Number(answer.exceptionDetails.scriptId);
  }

  /** V8's own word about a live edit; it proves nothing yet. */
  edit(scriptId, text) {
    this.edited = true;
    const before = this.nextScriptId();
    try {
      return this.exchange(scriptId, text);
    } finally {
      const after = this.nextScriptId();
      for (let id = before + 1; id < after; id++) this.leftovers.set(String(id), scriptId);
    }
  }

  exchange(scriptId, text) {
    const answer = this.knowing(() => this.post("Debugger.setScriptSource", { scriptId, scriptSource: text }));
    const detail = answer.exceptionDetails;
    return {
      status: answer.status ?? (detail ? "CompileError" : "Ok"),
      detail: detail && (detail.exception?.description ?? detail.text),
    };
  }

  /** Calls `use` with a handle on a value that the inspector knows by an id. */
  withHandle(value, use) {
    handover.value = value;
    const { result } = this.post("Runtime.evaluate", {
      expression: `globalThis[Symbol.for("${handoverName}")].value`,
      objectGroup: handoverName,
    });
    handover.value = undefined;
    try {
      return use(result.objectId);
    } finally {
      this.post("Runtime.releaseObjectGroup", { objectGroup: handoverName });
    }
  }

  /** Where a function was written: its script, or undefined for a native or bound function. */
  scriptOf(fn) {
    return this.withHandle(fn, (objectId) => {
      const { internalProperties = [] } = this.post("Runtime.getProperties", { objectId, ownProperties: true });
      return internalProperties.find(({ name }) => name === "[[FunctionLocation]]")?.value?.value?.scriptId;
    });
  }

  /** The variables that a function keeps, innermost scope first, as plain objects; the global scope is left out. */
  scopesOf(fn) {
    return this.withHandle(fn, (objectId) => {
      const { internalProperties = [] } = this.post("Runtime.getProperties", { objectId, ownProperties: true });
      const list = internalProperties.find(({ name }) => name === "[[Scopes]]")?.value?.objectId;
      if (list === undefined) return [];
      const { result } = this.post("Runtime.getProperties", { objectId: list, ownProperties: true });
      const scopes = [];
      for (const { name, value } of result) {
        if (!/^\d+$/.test(name) || !value?.objectId) continue;
        // V8 shows each scope as an object with a description and the variables.
        const { description, object } = this.valueOf(value.objectId);
        if (description !== "Global" && typeof object === "object") scopes.push(object);
      }
      return scopes;
    });
  }

  /** Every live function of the isolate. Walks the heap slowly, so it is for rehearsals alone. */
  allFunctions() {
    return this.withHandle(Function.prototype, (prototypeObjectId) => {
      const { objects } = this.post("Runtime.queryObjects", { prototypeObjectId, objectGroup: handoverName });
      return this.valueOf(objects.objectId);
    });
  }

  valueOf(objectId) {
    let taken;
    handover.take = (value) => {
      taken = value;
    };
    this.post("Runtime.callFunctionOn", {
      objectId,
      functionDeclaration: `function () { globalThis[Symbol.for("${handoverName}")].take(this); }`,
      silent: true,
    });
    handover.take = undefined;
    return taken;
  }
}

let marks = 0;

const handoverName = "rebootless.handover";
const handover = { value: undefined, take: undefined };
Object.defineProperty(globalThis, Symbol.for(handoverName), { value: handover, enumerable: false, configurable: true });

/** From V8 14 on, live edit is off unless a flag allows it; older versions do not know the flag. */
function allowLiveEdit() {
  if (Number(process.versions.v8.split(".")[0]) >= 14) v8.setFlagsFromString("--inspector-live-edit");
}

module.exports = { Debugging, now };

/**
 * The agent's source: one self-contained text made from the files of the agent's folder.
 *
 * It is evaluated in the target, where no module loader is at hand: each file is wrapped in a function, `require("./x.cjs")` is resolved among them, and everything else must be a built-in module.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RebootlessError } from "../../../base/errors.ts";

export interface AgentSource {
  /** An expression: a function that takes a loader of built-in modules and gives the `require` of the agent's files. */
  readonly text: string;
  /** SHA-256 of the text, hexadecimal: tells whether a running agent is this one. */
  readonly id: string;
}

const agentFolder = join(import.meta.dirname, "..", "agent");
const sourceBytesMax = 4 * 1024 * 1024;

/**
 * Reads the agent's files, `agent.cjs` (which exports `createMethods`) among them.
 * Another folder replaces the agent; the channel always comes with it.
 */
export function loadAgentSource(folder: string = agentFolder): AgentSource {
  const files = new Map<string, string>();
  for (const source of new Set([agentFolder, folder])) {
    for (const name of readdirSync(source).sort()) {
      const shared = source === folder || name === "channel.cjs";
      // The preload is the other way in; it starts the same channel from files.
      if (shared && name.endsWith(".cjs") && name !== "preload.cjs")
        files.set(`./${name}`, readFileSync(join(source, name), "utf8"));
    }
  }
  if (!files.has("./agent.cjs"))
    throw new RebootlessError("bug/invariant", `The agent's folder ${folder} has no agent.cjs.`);
  const modules = [...files].map(
    ([id, text]) => `${JSON.stringify(id)}: function (module, exports, require) {${text}\n}`,
  );
  const text = `(function (load) {
const files = {__proto__: null,
${modules.join(",\n")}
};
const loaded = new Map();
return function requireAgent(id) {
  if (files[id] === undefined) {
    const builtin = load(id.replace(/^node:/, ""));
    if (builtin === undefined) throw new Error("The agent has no module " + id + ".");
    return builtin;
  }
  if (!loaded.has(id)) {
    const module = { exports: {} };
    loaded.set(id, module);
    files[id].call(module.exports, module, module.exports, requireAgent);
  }
  return loaded.get(id).exports;
};
})`;
  if (Buffer.byteLength(text) > sourceBytesMax)
    throw new RebootlessError("bug/invariant", "The agent's source is too large.");
  return { text, id: createHash("sha256").update(text).digest("hex") };
}

/** What the first evaluation answers when it could not do its work; in the other case the inspector closes before it can answer. */
export type EvaluationAnswer =
  | { readonly outcome: "wrong-process"; readonly pid: number }
  | { readonly outcome: "failed"; readonly message: string };

const loaderText = `const load = typeof process.getBuiltinModule === "function" ? (id) => process.getBuiltinModule(id) : require;`;

/**
 * Closes the inspector now, and again in the next turns of the event loop; then calls `done`.
 *
 * Node answers SIGUSR1 twice (Agent::RequestIoThreadStart): it interrupts the running JavaScript, and it wakes the event loop.
 * A process that was busy opens its port for the interrupt, is closed amid its work, and would open it once more when its loop turns.
 * The loop polls between two immediates, so the wake-up has passed after the second.
 */
const closeForGood = `function closeForGood(load, done) {
  const close = () => { try { load("inspector").close(); } catch { /* It is closed, or the client sees that it is not. */ } };
  let turns = 3;
  const again = () => {
    close();
    if (--turns > 0) load("timers").setImmediate(again);
    else done();
  };
  close();
  load("timers").setImmediate(again);
}`;

export const closeInspectorExpression = `(() => { ${loaderText} ${closeForGood} closeForGood(load, () => {}); })()`;

/**
 * The one expression that is evaluated through the inspector.
 *
 * It may run amid the application's own code, so it does only what must happen at once: it checks the process, finds a place for the socket, and closes the inspector.
 * The agent starts in a turn of its own, so a socket that is there means a port that is closed for good.
 */
export function attachExpression(source: AgentSource, pid: number): string {
  return `(() => {
${loaderText}
if (process.pid !== ${pid}) return JSON.stringify({ outcome: "wrong-process", pid: process.pid });
let channel;
try {
  const requireAgent = ${source.text}(load);
  channel = requireAgent("./channel.cjs").install({
    createMethods: () => requireAgent("./agent.cjs").createMethods(),
    sourceId: ${JSON.stringify(source.id)},
  });
  channel.prepare();
} catch (error) {
  return JSON.stringify({ outcome: "failed", message: String(error && error.message) });
}
${closeForGood}
closeForGood(load, () => {
  try { channel.start(); } catch { /* The client notices that no socket appears; an exception would end the application. */ }
});
})()
//# sourceURL=rebootless-agent.js`;
}

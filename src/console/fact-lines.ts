/** The facts of a device that are worth a line on the page. Pure; every value stays text. */
import type { Facts } from "../api/schemas.ts";

const machineFacts = ["os.name", "os.prettyName", "os", "kernel", "os.kernel", "architecture", "arch"];

function text(facts: Facts, name: string): string[] {
  const value = facts[name];
  return value === undefined || Array.isArray(value) ? [] : [String(value)];
}

/** Facts of processes are called `process.PID.…`; that is how many there are. */
function processIds(facts: Facts): ReadonlySet<string> {
  return new Set(Object.keys(facts).flatMap((name) => /^process\.(\d+)(?:\.|$)/.exec(name)?.[1] ?? []));
}

export function factLines(facts: Facts): readonly string[] {
  const machine = machineFacts.flatMap((name) => text(facts, name)).join(" · ");
  const processes = processIds(facts).size;
  const lines = machine === "" ? [] : [machine];
  if (processes > 0) lines.push(processes === 1 ? "1 Node.js process" : `${processes} Node.js processes`);
  return lines;
}

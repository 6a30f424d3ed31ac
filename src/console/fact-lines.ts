/** The facts of a device that are worth a line on the page. Pure; every value stays text. */
import type { Facts } from "../api/schemas/devices.ts";

const machineFacts = ["os.name", "kernel.release", "cpu.architecture"];
const shownProcesses = 4;

function texts(facts: Facts, name: string): readonly string[] {
  return [facts[name] ?? []].flat().map(String);
}

/** Facts of a process are called `process.PID.…`. */
function processIds(facts: Facts): readonly string[] {
  return [...new Set(Object.keys(facts).flatMap((name) => /^process\.(\d+)\./.exec(name)?.[1] ?? []))];
}

/** A binary with a hotpatch for it: its file, the package that it is from, and the build. */
function binaryName(facts: Facts, buildId: string): string {
  const [path = "", name = "", version = ""] = texts(facts, `binary.${buildId}`);
  const file = path.slice(path.lastIndexOf("/") + 1);
  return [file, name === "" ? "" : `of ${name} ${version}`, `(build-id ${buildId})`]
    .filter((word) => word !== "")
    .join(" ");
}

function processLine(facts: Facts, pid: string): string | undefined {
  const packages = texts(facts, `process.${pid}.packages`);
  const binaries = texts(facts, `process.${pid}.buildIds`).map((buildId) => binaryName(facts, buildId));
  const hotpatches = texts(facts, `process.${pid}.hotpatches`);
  const concerned = [...packages, ...binaries];
  if (concerned.length === 0 && hotpatches.length === 0) return undefined;
  const name = [`PID ${pid}`, ...texts(facts, `process.${pid}.command`)].join(" ");
  const has = concerned.length === 0 ? "" : `has ${concerned.join(", ")}; `;
  const patched = hotpatches.length === 0 ? "no hotpatch in memory" : `in memory ${hotpatches.join(", ")}`;
  return `${name}: ${has}${patched}`;
}

/** The machine, how many processes may be touched on it, and the first of those that hotpatches are for. */
export function factLines(facts: Facts): readonly string[] {
  const machine = machineFacts.flatMap((name) => texts(facts, name)).join(" · ");
  const ids = processIds(facts);
  const count = typeof facts.processes === "number" ? facts.processes : ids.length;
  const concerned = ids.flatMap((pid) => processLine(facts, pid) ?? []);
  const processes = count === 1 ? "1 Node.js process" : `${count} Node.js processes`;
  const more = concerned.length > shownProcesses ? [`and ${concerned.length - shownProcesses} more`] : [];
  return [
    ...(machine === "" ? [] : [machine]),
    ...(facts.processes === undefined && count === 0 ? [] : [processes]),
    ...concerned.slice(0, shownProcesses),
    ...more,
  ];
}

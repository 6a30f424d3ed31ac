/** Runs a quiet, long command: keeps what it prints for the case of failure, and says every few seconds that it is still at work. */
import { spawn } from "node:child_process";

const tellEveryMs = 5_000;
/** A failing program says what is wrong at the beginning (npm) or at the end (apt). */
const keptLines = { first: 15, last: 15 };

/** The first and the last lines of an output whose middle nobody reads; at most those are held in memory. */
function shorten(output) {
  const lines = output.split("\n");
  if (lines.length <= keptLines.first + keptLines.last) return output;
  return [...lines.slice(0, keptLines.first), "…", ...lines.slice(-keptLines.last)].join("\n");
}

/**
 * Answers the exit code and the output's first and last lines; throws only if the command cannot be started.
 *
 * The child is ended when we are, so that nothing works on behind the caller's back.
 */
export function runLongCommand({ command, args, cwd, env, what, say }) {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    const seconds = () => Math.round((Date.now() - startedMs) / 1000);
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk) => {
      output += chunk;
      if (output.length > 100_000) output = shorten(output);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    const timer = setInterval(() => say(`${what}: ${seconds()} s …`), tellEveryMs);
    const stop = (signal) => {
      child.kill(signal);
      child.once("close", () => process.exit(signal === "SIGINT" ? 130 : 143));
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    const finish = () => {
      clearInterval(timer);
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    };
    child.once("error", (error) => {
      finish();
      reject(error);
    });
    child.once("close", (code, signal) => {
      finish();
      resolve({ code: code ?? 1, signal, seconds: seconds(), output: shorten(output.trim()) });
    });
  });
}

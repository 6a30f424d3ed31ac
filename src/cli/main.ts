/**
 * The command `rebootless`: reads the command line, runs one command, tells how it ended.
 *
 * Only this frame prints and exits; commands answer with values.
 * `main` touches nothing but what it is given, so that it can be driven from a test; `runProcess` ties it to the process.
 */
import { readFileSync } from "node:fs";
import { RebootlessError } from "../base/errors.ts";
import type { CommandIo, CommandSpec } from "./command.ts";
import { commands } from "./commands.ts";
import { type Parsed, parseCommandLine } from "./program.ts";
import { errorLine, exitCodes, type Report, type ReportStyle, reportResult, reportThrown } from "./report.ts";
import { jsonLine, type OutputStream, printableLine, printableText, Writer, wantsColour } from "./terminal.ts";

export interface MainOptions {
  /** The words behind the name of the command. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly commands: readonly CommandSpec[];
}

/** Runs one command line to its end and answers the exit code; whatever happens, nothing is thrown. */
export async function main(options: MainOptions): Promise<number> {
  const out = new Writer(options.stdout);
  const error = new Writer(options.stderr);
  const style = styleOf(options);
  const report = await runToReport(options, style, { out, error });
  if (report.out !== "") out.write(report.out);
  if (report.error !== "") error.write(report.error);
  const failure = await out.flush();
  if (failure !== undefined) {
    const message = `The output could not be written: ${failure.message}`;
    error.write(errorLine("error", message, style));
  }
  await error.flush();
  return failure === undefined ? report.exitCode : exitCodes.failed;
}

function styleOf({ argv, env, stderr }: MainOptions): ReportStyle {
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  return {
    json: words.includes("--json"),
    colour: wantsColour(stderr, env, words),
    debug: env.REBOOTLESS_DEBUG === "1",
  };
}

async function runToReport(options: MainOptions, style: ReportStyle, writers: Writers): Promise<Report> {
  try {
    const parsed = parseCommandLine(options.commands, options.argv);
    if (parsed.kind !== "run") return reportWithoutRun(parsed, style);
    return reportResult(await parsed.spec.run(parsed.input, commandIo(options, style, writers)), style);
  } catch (thrown) {
    return reportThrown(thrown, style);
  }
}

function reportWithoutRun(parsed: Exclude<Parsed, { kind: "run" }>, style: ReportStyle): Report {
  switch (parsed.kind) {
    case "version": {
      const version = ownVersion();
      return { out: style.json ? jsonLine({ version }) : `${version}\n`, error: "", exitCode: exitCodes.done };
    }
    case "help":
      return { out: printableText(parsed.text), error: "", exitCode: exitCodes.done };
    case "usage": {
      if (parsed.help !== undefined && !style.json) {
        return { out: "", error: printableText(parsed.help), exitCode: exitCodes.usage };
      }
      return reportThrown(new RebootlessError("usage/arguments", usageMessage(parsed.message)), style);
    }
  }
}

function usageMessage(message: string): string {
  const line = message.trim().replace(/\s*\n\s*/g, " ");
  return `${line}${/[.!?)]$/.test(line) ? "" : "."} See rebootless --help.`;
}

interface Writers {
  readonly out: Writer;
  readonly error: Writer;
}

function commandIo({ argv, env, cwd }: MainOptions, style: ReportStyle, { out, error }: Writers): CommandIo {
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  const quiet = style.json || words.includes("--quiet") || words.includes("-q");
  return {
    env,
    cwd,
    async emit(data, text) {
      out.write(style.json ? jsonLine(data) : `${printableText(text)}\n`);
      return (await out.flush()) === undefined && !out.unread;
    },
    progress(message) {
      if (!quiet) error.write(`${printableLine(message)}\n`);
    },
    log(record, text) {
      if (style.json) error.write(jsonLine(record));
      else if (!quiet) error.write(`${printableLine(text)}\n`);
    },
    warn(message) {
      // Each line of a long warning carries the label, so that none can pass for something else.
      for (const line of message.split("\n")) error.write(errorLine("warning", line, style));
    },
  };
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return String((manifest as { version: unknown }).version);
}

/** Runs the command line of this process, by the given commands, and ends it. */
export async function runProcess(specs: readonly CommandSpec[] = commands): Promise<never> {
  const debug = process.env.REBOOTLESS_DEBUG === "1";
  const fail = (thrown: unknown) => {
    const json = process.argv.includes("--json");
    const report = reportThrown(thrown, { json, colour: false, debug });
    process.stdout.write(report.out);
    process.stderr.write(report.error);
    process.exit(report.exitCode);
  };
  process.on("uncaughtException", fail);
  // Ctrl-C ends the command at once: whatever it does to a process takes effect there in one turn or not at all.
  process.on("SIGINT", () => process.exit(exitCodes.interrupted));
  const { env, stdout, stderr } = process;
  const exitCode = await main({
    argv: process.argv.slice(2),
    env,
    cwd: process.cwd(),
    stdout,
    stderr,
    commands: specs,
  });
  // A command may leave a timer or a socket behind; its answer is complete all the same.
  process.exit(exitCode);
}

if (import.meta.main) await runProcess();

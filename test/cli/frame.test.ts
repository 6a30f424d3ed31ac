/** The frame of the command line as a user meets it: streams and exit codes of real processes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { checkout, frameProgram, launcher, runProgram } from "./run-program.ts";

const run = (...args: string[]) => runProgram([frameProgram, ...args]);

describe("what a command is given", () => {
  test("arguments, options and what stands behind --", async () => {
    const given = "echo words a.txt -p 7 b --allow-unsigned --with x --with y --json -- --pid 8".split(" ");
    const { code, out } = await run(...given);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out), {
      arguments: ["a.txt", "b", "--pid", "8"],
      options: { pid: "7", allowUnsigned: true, with: ["x", "y"], mode: "safe" },
    });
  });

  test("an option that was not given is absent", async () => {
    const { out } = await run("--json", "echo", "words", "a.txt");
    assert.deepEqual(JSON.parse(out), { arguments: ["a.txt"], options: { mode: "safe" } });
  });

  test("progress is silent with --quiet and --json, warnings are not", async () => {
    const loud = await run("echo", "words", "a.txt");
    assert.match(loud.error, /^at work$/m);
    for (const flag of ["--quiet", "-q", "--json"]) {
      const { error } = await run("echo", "words", "a.txt", flag);
      assert.doesNotMatch(error, /at work/);
      assert.match(error, /^warning: take care$/m);
    }
  });
});

describe("wrong usage ends with 2", () => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ["echo words", /^error: missing required argument 'file'\. See rebootless --help\.\n$/],
    ["echo words a --bogus", /^error: unknown option '--bogus'/],
    ["echo words a --allow-unsined", /Did you mean --allow-unsigned\?/],
    ["echo words a --pid", /argument missing/],
    ["echo words a --pid 1 --pid 2", /may be given only once/],
    ["hostil", /^error: unknown command 'hostil' \(Did you mean hostile\?\)/],
    ["hostile extra", /too many arguments/],
    ["completion csh", /give bash, zsh or fish/],
  ];
  for (const [line, message] of rows) {
    test(line, async () => {
      const { code, out, error } = await run(...line.split(" "));
      assert.equal(code, 2);
      assert.equal(out, "");
      assert.match(error, message);
      assert.equal(error.split("\n").length, 2);
    });
  }

  test("no command, or half of one, prints help to standard error", async () => {
    for (const words of [[], ["echo"]]) {
      const { code, out, error } = await run(...words);
      assert.equal(code, 2);
      assert.equal(out, "");
      assert.match(error, /^Usage: rebootless.*\n[\s\S]*Commands:/);
    }
  });

  test("with --json it is an error document", async () => {
    const { code, out, error } = await run("echo", "words", "--json");
    assert.equal(code, 2);
    assert.equal(error, "");
    assert.deepEqual(JSON.parse(out).error.code, "usage/arguments");
  });
});

describe("help and version", () => {
  test("help lists commands, and a command's help its options and examples", async () => {
    const all = await run("--help");
    assert.equal(all.code, 0);
    assert.match(all.out, /completion <bash\|zsh\|fish>/);
    for (const words of [
      ["echo", "words", "--help"],
      ["echo", "help", "words"],
    ]) {
      const { code, out } = await run(...words);
      assert.equal(code, 0);
      assert.match(out, /--trust-dir <dir>/);
      assert.match(out, /--json/);
      assert.match(out, /# echo with a process\n {2}rebootless echo words a\.txt --pid 7\n/);
    }
  });

  test("version, in text and in JSON", async () => {
    assert.match((await run("--version")).out, /^\d+\.\d+\.\d+\n$/);
    assert.match(JSON.parse((await run("--version", "--json")).out).version, /^\d+\.\d+\.\d+$/);
  });
});

describe("endings", () => {
  test("a refusal is an answer: 3, one line each, hostile text shown escaped", async () => {
    const text = await run("refuse");
    assert.equal(text.code, 3);
    assert.equal(text.out, "");
    assert.match(text.error, /^refused: The process is not Node; choose a\\u\{1b\}\[31mred.*next\n$/);
    const json = await run("refuse", "--json");
    assert.equal(json.code, 3);
    assert.equal(json.error, "");
    const [refusal] = JSON.parse(json.out).refused;
    assert.equal(refusal.code, "target/not-node");
    assert.deepEqual(refusal.details, { pid: 7 });
  });

  test("an error is one line without a stack", async () => {
    const text = await run("fail");
    assert.equal(text.code, 1);
    assert.equal(text.error, "error: It did not hold; try again.\n");
    const json = await run("fail", "--json");
    assert.equal(json.code, 1);
    assert.deepEqual(JSON.parse(json.out), {
      error: { code: "failure/apply", message: "It did not hold; try again.", details: { pid: 7 } },
    });
  });

  test("REBOOTLESS_DEBUG=1 adds the stack and its causes", async () => {
    const { error } = await runProgram([frameProgram, "fail"], { env: { REBOOTLESS_DEBUG: "1" } });
    assert.match(error, /^ {4}at .*frame-program\.ts/m);
    assert.match(error, /caused by: Error: inner cause/);
  });

  test("what nobody expected is called a bug, whenever it is thrown", async () => {
    for (const name of ["crash", "later"]) {
      const { code, error } = await run(name);
      assert.equal(code, 1);
      assert.match(error, /^error: Something went wrong that should not: .* please report it.*\n$/);
      const json = await run(name, "--json");
      assert.equal(JSON.parse(json.out).error.code, "bug/invariant");
    }
  });

  test("work that was done and did not hold ends with 1", async () => {
    const { code, out } = await run("unheld");
    assert.equal(code, 1);
    assert.equal(out, "did not hold\n");
  });

  test("control characters never reach the terminal, in text, JSON or warnings", async () => {
    const raw = /[^\P{Cc}\n\t]|[\u202a-\u202e]/u;
    const text = await run("hostile");
    assert.equal(text.out, "a\\u{1b}[31mred\\u{9b}2J\\u{202e}b\tc\\u{d}\nnext\n");
    const json = await run("hostile", "--json");
    assert.doesNotMatch(json.out, raw);
    assert.deepEqual(JSON.parse(json.out), {
      text: "a\u001b[31mred\u009b2J\u202eb\tc\r\nnext",
      big: String(2n ** 60n),
    });
    const warned = await run("echo", "words", "a");
    assert.doesNotMatch(warned.error, raw);
    assert.match(warned.error, /^warning: next$/m);
  });

  test("a reader that goes away is no crash", async () => {
    const child = spawn(process.execPath, [frameProgram, "long"], { stdio: ["ignore", "pipe", "pipe"] });
    let error = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      error += text;
    });
    await once(child.stdout, "readable");
    child.stdout.destroy();
    const [code] = await once(child, "close");
    assert.equal(code, 0);
    assert.equal(error, "");
  });

  test("long output arrives whole", async () => {
    const { out } = await run("long", "--json");
    assert.equal(JSON.parse(out).length, 4_000_000);
  });

  test("output that cannot be written is a failure", async () => {
    const { code, error } = await runProgram(["-c", `'${process.execPath}' '${frameProgram}' long > /dev/full`], {
      command: "bash",
    });
    assert.equal(code, 1);
    assert.match(error, /^error: The output could not be written: ENOSPC/);
  });

  test("SIGINT ends with 130", async () => {
    const ended = await runProgram([frameProgram, "wait"], { onOutput: (_text, child) => child.kill("SIGINT") });
    assert.equal(ended.code, 130);
  });
});

describe("the launcher", () => {
  test("runs the command, arguments and exit code going through", async () => {
    const { code, out } = await runProgram([launcher, "--version"], { cwd: "/" });
    assert.equal(code, 0);
    assert.match(out, /^\d+\.\d+\.\d+\n$/);
    assert.equal((await runProgram([launcher, "bogus"])).code, 2);
  });

  test("under a Node that strips no types, runs the pinned one", async () => {
    const { code, out } = await runProgram(["--no-strip-types", launcher, "--version", "--json"]);
    assert.equal(code, 0);
    assert.ok(JSON.parse(out).version);
  });

  test("passes signals on and ends like the child", async () => {
    const script = `import { endLike, runPinnedNode } from "${checkout}/scripts/pinned-node.mjs";
      endLike(await runPinnedNode(process.argv.slice(1)));`;
    const through = (code: string, signal: NodeJS.Signals) =>
      runProgram(["--input-type=module", "-e", script, "-e", code], { onOutput: (_text, child) => child.kill(signal) });
    const waiting = "console.log('up'); setInterval(() => {}, 1000);";
    assert.equal((await through(waiting, "SIGTERM")).signal, "SIGTERM");
    assert.equal((await through(`process.on('SIGINT', () => process.exit(42)); ${waiting}`, "SIGINT")).code, 42);
  });
});

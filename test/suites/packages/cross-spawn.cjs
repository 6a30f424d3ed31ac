/** Checks for cross-spawn: how arguments are escaped for Windows, how commands are parsed, and true child processes. */
"use strict";
const { calls, each, quick } = require("../checks.cjs");

const texts = [
  "",
  "a",
  "a b",
  '"',
  '\\"',
  '\\\\"',
  "\\",
  "a\\",
  "a\\\\",
  'a\\\\"b\\"',
  "%PATH%",
  "^&|<>()!",
  "a\nb",
  "ü◁",
  "$HOME `x`",
  "'single'",
  "\\\\server\\share\\",
  '"""',
  '\\"\\"\\',
  "*?",
  ";,=",
  5,
  null,
  true,
];

module.exports = {
  keep: (spawn, require) => {
    const { command, argument } = require("x-cross-spawn/lib/util/escape");
    const { sync, spawn: asynchronous, _parse: parse, _enoent: enoent } = spawn;
    return {
      spawn,
      sync,
      asynchronous,
      parse,
      enoent,
      command,
      argument,
      shebang: require("x-cross-spawn/lib/util/readShebang"),
    };
  },
  checks: ({ spawn, sync, asynchronous, parse, enoent, command, argument, shebang }) => {
    const print = ["-e", "console.log(JSON.stringify(process.argv.slice(1)))"];
    const inSync = (...args) => {
      const { status, signal, stdout, error } = sync(process.execPath, [...print, ...args], { encoding: "utf8" });
      return { status, signal, stdout, error };
    };
    const ended = (child) =>
      new Promise((resolve) => {
        let out = "";
        child.stdout?.on("data", (data) => {
          out += data;
        });
        child.on("error", (error) => resolve({ error }));
        child.on("close", (code, signal) => resolve({ code, signal, out }));
      });
    return [
      ...each("argument", (text) => argument(text), texts),
      ...each("argument, doubly escaped", (text) => argument(text, true), texts),
      ...each(
        "command",
        (text) => command(text),
        texts.filter((text) => typeof text === "string"),
      ),
      ...calls("parse", (...list) => parse(...list), [
        ["echo", ["a"]],
        ["echo", ["a b"], { shell: true }],
        ["echo", { cwd: "/" }],
        ["x", []],
        ["./no/such", ["y"], {}],
      ]),
      ...each("read a shebang", (file) => shebang(file), ["/bin/sh", "/no/such/file", __filename]),
      ...each(
        "spawn.sync",
        (text) => inSync(text),
        texts.filter((text) => typeof text === "string" && !text.includes("\n")).slice(0, 12),
      ),
      ...each("spawn", (text) => ended(spawn(process.execPath, [...print, text])), ["a b", '"', "ü"]),
      ["spawn of a missing command", () => ended(asynchronous("no-such-command-here", ["x"]))],
      ["spawn.sync of a missing command", () => sync("no-such-command-here", ["x"]).error],
      ["a failing command", () => ended(asynchronous(process.execPath, ["-e", "process.exit(3)"]))],
      [
        "verify a missing command",
        () => [enoent.verifyENOENT(1, { original: "x", file: undefined }), enoent.verifyENOENTSync(0, {})],
      ],
      ["the error of a missing command", () => enoent.notFoundError({ command: "x", args: ["y"] }, "spawn")],
      quick("argument of many backslashes", () => argument(`${"\\".repeat(60_000)}a◁`)),
    ];
  },
};

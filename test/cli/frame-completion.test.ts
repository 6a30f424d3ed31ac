/** Completion as the shells themselves do it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { frameProgram, runProgram } from "./run-program.ts";

let folder = "";

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "rebootless-completion-"));
  mkdirSync(path.join(folder, "home", "nested"), { recursive: true });
  writeFileSync(path.join(folder, "home", "notes one.txt"), "");
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, out } = await runProgram([frameProgram, "completion", shell]);
    assert.equal(code, 0);
    writeFileSync(path.join(folder, shell), out);
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** Command lines up to the cursor, as words, and what is offered there. */
const rows: readonly { readonly words: readonly string[]; readonly offered: readonly string[] }[] = [
  { words: ["ec"], offered: ["echo"] },
  { words: ["echo", ""], offered: ["words"] },
  { words: ["--quiet", "refu"], offered: ["refuse"] },
  { words: ["completion", ""], offered: ["bash", "fish", "zsh"] },
  { words: ["completion", "z"], offered: ["zsh"] },
  { words: ["echo", "words", "--al"], offered: ["--allow-unsigned"] },
  { words: ["echo", "words", "--js"], offered: ["--json"] },
  { words: ["echo", "words", "--mode", ""], offered: ["fast", "safe"] },
  { words: ["echo", "words", "no"], offered: ["notes one.txt"] },
  { words: ["echo", "words", "--pid", "7", "no"], offered: ["notes one.txt"] },
  { words: ["echo", "words", "--trust-dir", "n"], offered: ["nested"] },
  { words: ["echo", "words", "--pid", ""], offered: [] },
  { words: ["echo", "words", "x", "n"], offered: [] },
  { words: ["refuse", ""], offered: [] },
];

describe("bash", () => {
  for (const { words, offered } of rows) {
    test(`rebootless ${words.join(" ")}`, () => {
      const script = `source "$1"; shift; COMP_WORDS=(rebootless "$@"); COMP_CWORD=$#; _rebootless; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const args = ["--norc", "-c", script, "bash", path.join(folder, "bash"), ...words];
      const answer = spawnSync("bash", args, { cwd: path.join(folder, "home"), encoding: "utf8" });
      assert.equal(answer.stderr, "");
      assert.deepEqual(answer.stdout.split("\n").filter(Boolean).sort(), offered);
    });
  }

  test("the function is bound to the command", () => {
    const answer = spawnSync("bash", ["--norc", "-c", `source '${folder}/bash'; complete -p rebootless`], {
      encoding: "utf8",
    });
    assert.equal(answer.stdout, "complete -F _rebootless rebootless\n");
  });
});

const zsh = spawnSync("zsh", ["-f", "-c", "zmodload zsh/zpty"]).status === 0;

/**
 * Types a line into an interactive zsh in a pseudo-terminal, presses Tab, and answers the line as it then stands.
 *
 * `^X` is bound to a widget that prints the line, so the test waits for that and never for a time.
 */
function typedInZsh(line: string): string {
  const script = `
    zmodload zsh/zpty
    zpty -b shell zsh -f -i
    zpty -w shell "PS1=; PS2=; unsetopt beep zle_bracketed_paste; TERM=dumb; autoload -Uz compinit; compinit -u -D; source '${folder}/zsh'; cd '${folder}/home'"
    zpty -w shell 'show() { print -r -- ">>>$BUFFER<<<"; BUFFER=; }; zle -N show; bindkey "^X" show; print "rea""dy"'
    zpty -r shell seen '*ready*'
    zpty -w -n shell "$1"$'\\t\\C-x'
    zpty -r shell seen '*>>>*<<<*'
    print -r -- "$seen"
    zpty -d shell`;
  const answer = spawnSync("zsh", ["-f", "-c", script, "zsh", line], {
    encoding: "utf8",
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  return /.*>>>(.*)<<</s.exec(answer.stdout)?.[1] ?? `no answer: ${answer.stdout}${answer.stderr}`;
}

describe("zsh", { skip: zsh ? false : "zsh is not installed" }, () => {
  const typed: readonly (readonly [string, string])[] = [
    ["rebootless ec", "rebootless echo "],
    ["rebootless echo w", "rebootless echo words "],
    ["rebootless --quiet refu", "rebootless --quiet refuse "],
    ["rebootless completion z", "rebootless completion zsh "],
    ["rebootless echo words --al", "rebootless echo words --allow-unsigned "],
    ["rebootless echo words --mode f", "rebootless echo words --mode fast "],
    ["rebootless echo words --pid 7 no", "rebootless echo words --pid 7 notes\\ one.txt "],
    ["rebootless echo words --trust-dir n", "rebootless echo words --trust-dir nested/"],
    ["rebootless refuse n", "rebootless refuse n"],
  ];
  for (const [line, completed] of typed) {
    test(line, () => assert.equal(typedInZsh(line), completed));
  }
});

const fish = spawnSync("fish", ["--version"]).status === 0;

describe("fish", { skip: fish ? false : "fish is not installed" }, () => {
  for (const { words, offered } of rows) {
    test(`rebootless ${words.join(" ")}`, () => {
      const script = `source '${folder}/fish'; cd '${folder}/home'; complete -C "$argv[1]"`;
      const home = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
      const args = ["--no-config", "-c", script, ["rebootless", ...words].join(" ")];
      const answer = spawnSync("fish", args, { encoding: "utf8", env: home });
      assert.equal(answer.stderr, "");
      const found = answer.stdout.split("\n").filter(Boolean);
      // Of each: the word, and behind a tab what it is.
      const plain = found.map((line) => (line.split("\t")[0] ?? "").replaceAll("\\ ", " ").replace(/\/$/, ""));
      assert.deepEqual(plain.sort(), offered);
    });
  }
});

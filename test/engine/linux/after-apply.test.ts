/** What the author asks to be done after applying: in real processes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ElfAction } from "../../../src/hotpatch/elf-manifest.ts";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply } from "./support/patching.ts";
import { compile, Target, temporaryFolder } from "./support/target.ts";

const reloading = `#include <signal.h>
#include <stdio.h>
#include <string.h>
static volatile int reloads;
static void reload(int signal) { (void)signal; reloads++; }
__attribute__((noinline)) int answer(int x) { __asm__ volatile("" ::: "memory"); return x * 7777 / 3 + 1; }
int main(int count, char **words) {
  struct sigaction action = {.sa_handler = reload, .sa_flags = SA_RESTART}; char line[100];
  if (count > 1) sigaction(SIGHUP, &action, 0);
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) { printf("%d %d\\n", answer(1), reloads); fflush(stdout); }
}
`;

for (const [how, words, state, reloads] of [
  ["is sent to a process that handles it", ["handles"], "done", 1],
  ["is kept from a process that it would end", [], "left", 0],
] as const) {
  test(`a signal after applying ${how}; commands and notes are for a person`, async (context) => {
    const folder = temporaryFolder(context);
    const program = compile(folder, "reloading", reloading);
    const source = "int answer(int x) { return x + 100; }";
    const { manifest, payloads } = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source });
    assert.ok(manifest.elf !== undefined);
    const afterApply: ElfAction[] = [
      { kind: "signal", signal: "SIGHUP" },
      { kind: "command", command: ["systemctl", "reload", "answering"] },
      { kind: "note", text: "Look at the log." },
    ];
    const elf = { ...manifest.elf, afterApply };
    const target = await Target.start(context, program, words);
    const outcome = await apply(target.pid, { manifest: { ...manifest, elf }, payloads });
    assert.deepEqual(
      outcome.actions?.map((action) => action.state),
      [state, "asked", "asked"],
    );
    assert.match(outcome.actions?.[1]?.text ?? "", /systemctl reload answering/);
    assert.equal(await target.ask("new"), `101 ${reloads}`);
  });
}

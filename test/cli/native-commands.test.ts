/** apply, verify, ps and revert with a hotpatch for a native program, as a person types them. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeHotpatch } from "../../src/hotpatch/container.ts";
import { buildNativeHotpatch } from "../engine/linux/support/native-hotpatch.ts";
import { compile, Target, temporaryFolder } from "../engine/linux/support/target.ts";
import { launcher, runProgram } from "./run-program.ts";

const program = `#include <stdio.h>
volatile int one = 1;
__attribute__((noinline)) int answer(int x) { return x + one; }
int main() { char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { printf("%d\\n", answer(1)); fflush(stdout); } }
`;

test("a native hotpatch goes in by apply, is proven by verify, listed by ps and taken out by revert", async (context) => {
  const folder = temporaryFolder(context);
  const binary = compile(folder, "answering", program);
  const hotpatch = buildNativeHotpatch({
    folder,
    binary,
    functions: ["answer"],
    source: "int answer(int x) { return x + 2; }",
  });
  const file = join(folder, "answering.hotpatch");
  writeFileSync(file, encodeHotpatch(hotpatch, []));
  const target = await Target.start(context, binary);
  const pid = ["--pid", String(target.pid), "--allow-unsigned", "--json"];
  const command = async (...words: string[]) => {
    const { code, out, error } = await runProgram([launcher, ...words]);
    return { code, stderr: error, data: out === "" ? undefined : (JSON.parse(out) as Record<string, never>) };
  };
  const seen = async () => {
    const listed = await command("ps", "--for", file, "--json");
    const native = (listed.data?.native ?? []) as unknown as Record<string, unknown>[];
    return native.find((found) => found.pid === target.pid);
  };
  assert.equal((await seen())?.couldTake, true);
  const plan = await command("apply", file, ...pid, "--dry-run");
  assert.equal(plan.code, 0, plan.stderr);
  const [planned] = (plan.data?.plans ?? []) as unknown as {
    functions: { name: string }[];
    areas: object[];
    pid: number;
  }[];
  assert.deepEqual([planned?.pid, planned?.functions.map(({ name }) => name)], [target.pid, ["answer"]]);
  assert.deepEqual(Object.keys(planned?.areas[0] ?? {}), ["kind", "address", "sizeBytes"], "no bytes of memory");
  assert.equal(await target.ask("old"), "2");
  const applied = await command("apply", file, ...pid);
  assert.equal(applied.code, 0, applied.stderr);
  assert.equal(await target.ask("new"), "3");
  const verified = await command("verify", file, ...pid);
  assert.equal(verified.code, 0, verified.stderr);
  assert.equal((await seen())?.couldTake, false, "it has it");
  const listed = await command("ps", "--json");
  const native = listed.data?.native as unknown as { pid: number; hotpatches: { id: string }[] }[];
  assert.deepEqual(
    native.find((found) => found.pid === target.pid)?.hotpatches.map(({ id }) => id),
    ["elf-test"],
  );
  assert.equal((await command("revert", file, ...pid)).code, 0);
  assert.equal(await target.ask("old"), "2");
  assert.equal((await command("verify", file, ...pid)).code, 1);
  const other = await Target.start(
    context,
    compile(folder, "other", program.replace("volatile int one", "volatile long one")),
  );
  const refused = await command("apply", file, "--pid", String(other.pid), "--allow-unsigned", "--json");
  const codes = (refused.data?.refused ?? []) as unknown as { code: string }[];
  assert.deepEqual([refused.code, codes.map(({ code }) => code)], [3, ["target/package-absent"]]);
  const text = await runProgram([launcher, "apply", file, "--pid", String(target.pid), "--allow-unsigned"]);
  assert.match(text.out, /applied to 1 function; 1 thread stood still for [0-9.]+ ms/);
  assert.match((await runProgram([launcher, "ps"])).out, new RegExp(`^${target.pid} +elf-test +applied since `, "m"));
  assert.equal((await command("revert", file, ...pid)).code, 0);
  assert.equal((await command("revert", file, ...pid)).code, 3);
});

/** apply, verify, ps and revert with a hotpatch for a native program, as a person types them. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeHotpatch } from "../../src/hotpatch/container.ts";
import { buildNativeHotpatch } from "../engine/linux/support/native-hotpatch.ts";
import { compile, run, Target, temporaryFolder } from "../engine/linux/support/target.ts";
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

const master = `#include <stdio.h>
#include <unistd.h>
volatile int one = 1;
__attribute__((noinline)) int answer(int x) { return x + one; }
static int workers, to[16], from[16];
static void start(void) {
  int a[2], b[2];
  if (pipe(a) != 0 || pipe(b) != 0) _exit(2);
  if (fork() == 0) { char byte; close(a[1]); while (read(a[0], &byte, 1) == 1) { byte = (char)answer(1); if (write(b[1], &byte, 1) != 1) _exit(1); } _exit(0); }
  to[workers] = a[1], from[workers++] = b[0];
}
int main() {
  for (int i = 0; i < 3; i++) start();
  char l[100]; puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) {
    if (l[0] == 'f') start();
    printf("%d", answer(1));
    for (int i = 0; i < workers; i++) { char byte = 0; if (write(to[i], &byte, 1) == 1 && read(from[i], &byte, 1) == 1) printf(" %d", byte); }
    puts(""); fflush(stdout);
  }
}
`;

test("--tree changes a master with its workers, knows those that are forked afterwards, and takes it out of all", async (context) => {
  const folder = temporaryFolder(context);
  const binary = compile(folder, "master", master);
  const hotpatch = buildNativeHotpatch({
    folder,
    binary,
    functions: ["answer"],
    source: "int answer(int x) { return x + 2; }",
  });
  Object.assign(hotpatch.manifest.elf ?? {}, { notices: ["It reads its settings at start."] });
  const file = join(folder, "master.hotpatch");
  writeFileSync(file, encodeHotpatch(hotpatch, []));
  const target = await Target.start(context, binary);
  const command = async (name: string, ...words: string[]) => {
    const given = [name, file, "--pid", String(target.pid), "--allow-unsigned", "--json", ...words];
    const { code, out, error } = await runProgram([launcher, ...given]);
    return { code, error, data: JSON.parse(out) as { outcomes: { state: string }[]; notices: string[] } };
  };
  const states = ({ data }: { data: { outcomes: { state: string }[] } }) => data.outcomes.map(({ state }) => state);
  assert.equal(await target.ask("?"), "2 2 2 2");
  const applied = await command("apply", "--tree");
  assert.deepEqual(states(applied), ["applied", "applied", "applied", "applied"], applied.error);
  assert.deepEqual(applied.data.notices, ["It reads its settings at start."]);
  assert.equal(await target.ask("?"), "3 3 3 3");
  assert.equal(await target.ask("fork"), "3 3 3 3 3");
  assert.deepEqual(states(await command("apply", "--tree")), Array(5).fill("unchanged"));
  assert.deepEqual(states(await command("revert", "--tree")), Array(5).fill("reverted"));
  assert.equal(await target.ask("?"), "2 2 2 2 2");
});

const looping = `#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
volatile int one = 1;
__attribute__((noinline)) int answer(int x) { return x + one; }
__attribute__((noinline)) void loop(void) { for (;;) usleep(1000 + answer(1)); }
static void *work(void *unused) { loop(); return unused; }
int main() { pthread_t t; pthread_create(&t, 0, work, 0); char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { printf("%d\\n", answer(1)); fflush(stdout); } }
`;

test("--force-immediate switches a function that never ends, warns, and leaves word of it in the process", async (context) => {
  const folder = temporaryFolder(context);
  const binary = compile(folder, "looping", looping);
  const hotpatch = buildNativeHotpatch({
    folder,
    binary,
    functions: ["answer", "loop"],
    source: "int answer(int x) { return x + 2; } void loop(void) { for (;;); }",
  });
  const file = join(folder, "looping.hotpatch");
  writeFileSync(file, encodeHotpatch(hotpatch, []));
  const target = await Target.start(context, binary);
  const words = ["apply", file, "--pid", String(target.pid), "--allow-unsigned", "--json", "--wait", "1"];
  const refused = await runProgram([launcher, ...words]);
  assert.equal(refused.code, 3);
  assert.match(refused.out + refused.error, /loop/);
  const forced = await runProgram([launcher, ...words, "--force-immediate"]);
  assert.equal(forced.code, 0, forced.error);
  assert.match(forced.error, /old code while others run the new one/);
  assert.equal(await target.ask("?"), "3");
  const listed = JSON.parse((await runProgram([launcher, "ps", "--json"])).out) as {
    native: { pid: number; hotpatches: { forced?: boolean }[] }[];
  };
  assert.equal(listed.native.find(({ pid }) => pid === target.pid)?.hotpatches[0]?.forced, true);
});

test("build elf --supersedes FILE makes a hotpatch that takes the older one's place in one apply", async (context) => {
  const folder = temporaryFolder(context);
  const source = join(folder, "source");
  const tree = (place: string, added: number): void => {
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, "main.c"), program.replace("x + one", `x + one + ${added}`));
    writeFileSync(join(place, "Makefile"), "main: main.c\n\tgcc -O2 -Wl,--build-id -o $@ $<\n");
  };
  tree(source, 0);
  run("make", ["-s", "-C", source]);
  const built = async (name: string, added: number, ...words: string[]) => {
    const to = join(folder, name);
    tree(to, added);
    const file = `${to}.hotpatch`;
    const rest = ["--unsigned", "--json", "-o", file, ...words, "--", "make"];
    const { code, out, error } = await runProgram([launcher, "build", "elf", "--source", source, "--to", to, ...rest]);
    assert.equal(code, 0, error);
    return { file, id: (JSON.parse(out) as { id: string }).id };
  };
  const older = await built("older", 10);
  const stranger = await built("stranger", 20);
  const newer = await built("newer", 30, "--supersedes", older.file);
  const target = await Target.start(context, join(source, "main"));
  const pid = ["--pid", String(target.pid), "--allow-unsigned", "--json"];
  const ids = async (): Promise<string[]> => {
    const { out } = await runProgram([launcher, "ps", "--json"]);
    const { native } = JSON.parse(out) as { native: { pid: number; hotpatches: { id: string }[] }[] };
    return native.find((found) => found.pid === target.pid)?.hotpatches.map(({ id }) => id) ?? [];
  };
  assert.equal((await runProgram([launcher, "apply", older.file, ...pid])).code, 0);
  assert.equal(await target.ask("older"), "12");
  const refused = await runProgram([launcher, "apply", stranger.file, ...pid]);
  assert.equal(refused.code, 3, refused.error);
  assert.match(refused.out, /target\/conflicting-hotpatch/);
  assert.deepEqual(await ids(), [older.id]);
  const applied = await runProgram([launcher, "apply", newer.file, ...pid]);
  assert.equal(applied.code, 0, applied.error);
  assert.equal(await target.ask("newer"), "32");
  assert.deepEqual(await ids(), [newer.id]);
  assert.equal((await runProgram([launcher, "revert", newer.file, ...pid])).code, 0);
  assert.equal(await target.ask("old"), "2");
  assert.deepEqual(await ids(), []);
});

/** How long a hotpatch takes to be built, beside two plain compiles of the same tree: what every build by difference has to do. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launcher } from "../test/cli/run-program.ts";
import { run } from "../test/engine/linux/support/target.ts";

const files = 40;
const functionsPerFile = 25;

/** One C file of many functions that a compiler has some work with. */
function module(index: number, fix: string): string {
  const functions = Array.from({ length: functionsPerFile }, (_, at) => {
    const name = `part_${index}_${at}`;
    const body = index === 0 && at === 0 ? fix : `limit > ${at}`;
    return `int ${name}(const char *text, int limit) { int sum = ${at}; for (int i = 0; text[i] != 0 && i < limit; i++) { sum = sum * ${31 + at} + text[i]; if (${body} && sum < 0) sum = -sum; } return snprintf(buffer, sizeof buffer, "${name} %d", sum); }`;
  });
  return `#include <stdio.h>\nstatic char buffer[64];\n${functions.join("\n")}\n`;
}

function writeTree(folder: string, fix: string): void {
  mkdirSync(folder);
  const names = Array.from({ length: files }, (_, index) => `module_${index}`);
  for (const [index, name] of names.entries()) writeFileSync(join(folder, `${name}.c`), module(index, fix));
  const calls = names.map((_, index) => `int part_${index}_0(const char *, int);`).join("\n");
  const uses = names.map((_, index) => `part_${index}_0(words[0], count)`).join(" + ");
  writeFileSync(join(folder, "main.c"), `${calls}\nint main(int count, char **words) { return (${uses}) & 1; }\n`);
  const objects = ["main.o", ...names.map((name) => `${name}.o`)].join(" ");
  writeFileSync(
    join(folder, "Makefile"),
    `CFLAGS = -O2 -g\nprogram: ${objects}\n\t$(CC) -Wl,--build-id -o $@ $^\nclean:\n\trm -f *.o program\n`,
  );
}

export interface BuildTimes {
  readonly twoCompilesMs: number;
  readonly hotpatchMs: number;
  readonly files: number;
  readonly functions: number;
}

export function measureBuild(folder: string): BuildTimes {
  const old = join(folder, "old");
  const fixed = join(folder, "fixed");
  writeTree(old, "limit > 0");
  writeTree(fixed, "limit > 1");
  const twoCompilesMs = timed(() => {
    for (let time = 0; time < 2; time++) {
      run("make", ["-C", old, "clean"]);
      run("make", ["-C", old, "-j2"]);
    }
  });
  run("make", ["-C", old, "clean"]);
  const output = join(folder, "bench.hotpatch");
  const words = ["build", "elf", "--source", old, "--to", fixed, "-o", output, "--unsigned", "--", "make", "-j2"];
  const hotpatchMs = timed(() => run(process.execPath, [launcher, ...words]));
  return { twoCompilesMs, hotpatchMs, files: files + 1, functions: files * functionsPerFile + 1 };
}

function timed(action: () => void): number {
  const from = performance.now();
  action();
  return performance.now() - from;
}

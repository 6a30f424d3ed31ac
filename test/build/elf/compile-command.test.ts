import assert from "node:assert/strict";
import { test } from "node:test";
import { readCommand } from "../../../src/build/elf/compile-command.ts";
import { newFolder, writeFiles } from "./support/project.ts";

function read(...parameters: string[]): ReturnType<typeof readCommand> {
  return readCommand({ compiler: "/usr/bin/gcc", folder: "/w", arguments: parameters });
}

test("libtool's and cmake's compilations: dependency files and outputs are not flags", () => {
  const { units, link } = read(
    "-DA=1",
    "-Iinc",
    "-MD",
    "-MP",
    "-MF",
    "x.d",
    "-MT",
    "x.lo",
    "-O2",
    "-pipe",
    "-c",
    "x.c",
    "-fPIC",
    "-o",
    ".libs/x.o",
  );
  assert.equal(link, undefined);
  assert.deepEqual(units, [
    {
      compiler: "/usr/bin/gcc",
      folder: "/w",
      source: "/w/x.c",
      given: "x.c",
      flags: ["-DA=1", "-Iinc", "-O2", "-pipe", "-fPIC"],
      object: "/w/.libs/x.o",
    },
  ]);
});

test("several sources compiled and linked in one go", () => {
  const { units, link } = read("-O2", "-fPIC", "-shared", "a.c", "b.cc", "-o", "l.so", "-lm", "-Wl,-soname,l.so.1");
  assert.deepEqual(
    units.map(({ source, flags }) => [source, flags]),
    [
      ["/w/a.c", ["-O2", "-fPIC"]],
      ["/w/b.cc", ["-O2", "-fPIC"]],
    ],
  );
  assert.equal(link?.output, "/w/l.so");
});

test("linking alone, with a response file", () => {
  const folder = newFolder();
  writeFiles(folder, { "objects.rsp": 'a.o "b c.o"\n' });
  const { units, link } = readCommand({ compiler: "gcc", folder, arguments: ["@objects.rsp", "-o", "app"] });
  assert.deepEqual(units, []);
  assert.deepEqual(link?.inputs, [`${folder}/a.o`, `${folder}/b c.o`]);
});

test("preprocessing, questions and standard input make no object", () => {
  for (const parameters of [["-E", "x.c"], ["--version"], ["-print-search-dirs"], ["-x", "c", "-c", "-"]])
    assert.deepEqual(read(...parameters).units, []);
});

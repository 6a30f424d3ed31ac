/** The whole fuzz run with one seed, what earlier runs have found, and that the fuzzer would find what is wrong. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { missing } from "../elf/support/programs.ts";
import { compileOriginals } from "./elf-inputs.ts";
import { inputOf, isTyped, readOne } from "./fuzz.ts";
import { type Kind, kinds } from "./kinds.ts";
import { describeFinding, runFuzz } from "./run-fuzz.ts";

const inputs = 100_000;
const seed = 20_261_123;
const cases = join(import.meta.dirname, "cases");
const skip = missing("gcc", "g++");

test(`${inputs} damaged inputs: typed errors alone, no hang, no memory beyond bounds`, { skip }, async (context) => {
  const keepIn = mkdtempSync(join(tmpdir(), "rebootless-fuzz-test-"));
  context.after(() => rmSync(keepIn, { recursive: true, force: true }));
  const result = await runFuzz({
    seed,
    count: inputs,
    processes: 2,
    keepIn,
    progress: (text) => context.diagnostic(text),
  });
  assert.deepEqual(
    result.findings.map((finding) => describeFinding(finding)),
    [],
  );
  assert.equal(result.inputs, inputs);
});

test("what earlier runs have found is answered well", { skip }, () => {
  const all = kinds(compileOriginals());
  for (const file of readdirSync(cases).filter((name) => name.endsWith(".bin"))) {
    const kind = all.find(({ name }) => file.replace(/-\d+-\d+\.bin$/, "") === name);
    assert.ok(kind !== undefined, `${file} is of no kind that there is`);
    assert.equal(readOne(kind, readFileSync(join(cases, file))), undefined, file);
  }
});

test("a seed and a number give the same input again", { skip }, () => {
  const originals = compileOriginals();
  const all = kinds(originals).filter(({ name }) => name !== "bundle");
  for (let index = 0; index < 200; index++) {
    const [one, other] = [inputOf(all, seed, index), inputOf(all, seed, index)];
    assert.equal(one.kind.name, other.kind.name);
    assert.ok(one.bytes.equals(other.bytes));
  }
});

test("an error without a type is found, and one of bad input is none", () => {
  const throwing = (error: unknown): Kind => ({
    name: "any",
    share: 1,
    make: () => Buffer.alloc(1),
    read: () => {
      throw error;
    },
  });
  assert.match(readOne(throwing(new TypeError("not a function")), Buffer.alloc(1)) ?? "", /not a function/);
  assert.equal(readOne(throwing(new RebootlessError("elf/damaged", "cut")), Buffer.alloc(1)), undefined);
  assert.equal(isTyped(new RebootlessError("bug/invariant", "ours")), false);
});

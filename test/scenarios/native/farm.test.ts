/** A sample of the farm, and that every scenario can be read; all of them by `npm run scenarios`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runOne } from "./main.ts";
import { discover, sources } from "./scenario.ts";

const all = discover();
const sample = ["shapes@gcc-O2", "musl-static", "busy-threads", "two-libraries", "seccomp-kill", "one-thread-inside"];

test("every scenario says what it is about, and its fix changes its source", () => {
  assert.ok(all.length >= 60, `${all.length} scenarios`);
  for (const scenario of all) {
    assert.notEqual(scenario.about, "", scenario.name);
    assert.notDeepEqual(sources(scenario, 0), sources(scenario, 1), scenario.name);
  }
});

test("lines of the other version are gone, those of the compiler's own conditions stay", () => {
  const [scenario] = all;
  assert.ok(scenario !== undefined);
  const text = "a\n#if VERSION\nnew\n#ifdef X\nx\n#else\ny\n#endif\n#else\nold\n#endif\n#if 1\nkept\n#else\nb\n#endif";
  const lines = (version: 0 | 1) =>
    sources({ ...scenario, text, extension: ".c" }, version)
      ["main.c"]?.split("\n")
      .slice(1, -1);
  assert.deepEqual(lines(0), ["a", "old", "#if 1", "kept", "#else", "b", "#endif"]);
  assert.deepEqual(lines(1), [
    "a",
    "new",
    "#ifdef X",
    "x",
    "#else",
    "y",
    "#endif",
    "#if 1",
    "kept",
    "#else",
    "b",
    "#endif",
  ]);
});

for (const name of sample) {
  const scenario = all.find((one) => one.name === name);
  test(name, { skip: scenario === undefined ? "it is not there" : false }, async (context) => {
    const result = await runOne(scenario as (typeof all)[number]);
    if (result.state === "skipped") return context.skip(result.note);
    const expected = scenario?.refuses === undefined ? "held" : "refused";
    assert.equal(result.state, expected, `${result.note}\n${result.diagnosis ?? ""}`);
  });
}

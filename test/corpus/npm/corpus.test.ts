/** A sample of the corpus on the pinned Node.js; `npm run corpus:npm` runs all of it on three. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { corpusExists, corpusFolder } from "./cases.ts";
import { runCorpus } from "./run-corpus.ts";

/** Of the corpus beside the checkout, or else of the one inside it. */
const cases = corpusExists(corpusFolder())
  ? { corpus: corpusFolder(), sample: 6 }
  : {
      corpus: join(import.meta.dirname, "..", "more"),
      only: ["qs", "ini", "minimist-ctor", "cookie", "underscore", "nanoid-esm"],
    };

test("real holes are closed, opened and closed again in the same process", { timeout: 540_000 }, async (t) => {
  const options = {
    ...cases,
    majors: [26],
    heapMegabytes: 0,
    // How long the pause is depends on the machine; whether the hole is closed does not.
    maxPauseMs: 10_000,
    controlsOnly: false,
  } as const;
  const { results } = await runCorpus(options, (line) => t.diagnostic(line));
  const told = results.map(({ case: { id }, kind, reason }) => `${id}: ${kind} ${reason}`).join("\n");
  const closed = results.filter(({ kind }) => kind === "closed");
  assert.ok(closed.length >= 5, `at least five of six must be closed:\n${told}`);
  for (const { kind } of results) assert.ok(kind === "closed" || kind === "refused at build", told);
  for (const { applies, reverts } of closed) {
    assert.equal(applies.length, 2, told);
    assert.equal(reverts.length, 1, told);
  }
});

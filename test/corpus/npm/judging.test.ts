/** The corpus run must see through a hotpatch that closes nothing, and through a probe that shows nothing: both are put before it here. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runCorpus } from "./run-corpus.ts";

const json5 = { package: "json5", vulnerable: "2.2.1", fixed: "2.2.2", cve: "CVE-2022-46175", esm: false };

/** One hole, four ways to look at it. */
const probes = `"use strict";
const open = (parse) => parse('{"__proto__":{"isAdmin":true}}').isAdmin === true;
const setup = ({ parse }) => ({ parse });
let asked = false;
module.exports = {
  // What it looks at is no code, so no hotpatch can change it.
  "version-number": {
    setup: (library, require) => ({ version: require("x-version-number/package.json").version }),
    poc: ({ version }) => ({ vuln: version === "2.2.1", info: version }),
  },
  throwing: { setup, poc: () => module.exports.nothing.poc() },
  "always-open": { setup, poc: () => ({ vuln: true }) },
  "answering-once": {
    setup,
    poc: ({ parse }) => {
      const first = !asked;
      asked = true;
      return { vuln: first && open(parse) };
    },
  },
};
`;

test("each probe gets the judgement that it deserves", { timeout: 540_000 }, async (t) => {
  const corpus = mkdtempSync(join(tmpdir(), "rebootless-judging-"));
  t.after(() => rmSync(corpus, { recursive: true, force: true }));
  const ids = ["version-number", "throwing", "always-open", "answering-once"];
  writeFileSync(join(corpus, "cases.json"), JSON.stringify(ids.map((id) => ({ id, ...json5 }))));
  writeFileSync(join(corpus, "probes.cjs"), probes);
  const options = { corpus, majors: [26], heapMegabytes: 0, maxPauseMs: 10_000, controlsOnly: false } as const;
  const { results, totals } = await runCorpus(options, (line) => t.diagnostic(line));
  const [version, throwing, alwaysOpen, once] = results;
  assert.equal(version?.kind, "wrong", "an open hole that is called closed");
  assert.match(version?.reason ?? "", /^applied: called applied and in place, yet the probe says open \(2\.2\.1\)$/);
  assert.equal(throwing?.kind, "probe unusable");
  assert.match(throwing?.reason ?? "", /on the vulnerable version it throws "TypeError/);
  assert.equal(alwaysOpen?.kind, "probe unusable");
  assert.match(alwaysOpen?.reason ?? "", /on the fixed version it says open/);
  assert.equal(once?.kind, "closed", once?.reason ?? "");
  // Four processes, one for each step of the story: the later ones go through the earlier steps again.
  assert.equal(once?.applies.length, 4);
  assert.equal(once?.reverts.length, 2);
  assert.equal(totals[0]?.counts.wrong, 1);
});

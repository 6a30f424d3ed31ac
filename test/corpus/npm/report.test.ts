/** The verdict on a run of the corpus: what counts, what does not, and what must never pass. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CaseResult, ResultKind } from "./case-result.ts";
import { type CorpusCase, onlyCases, sampleCases } from "./cases.ts";
import { shortcomings, table, totalsLine, totalsOf } from "./report.ts";

function caseNamed(id: string): CorpusCase {
  return { id, package: `package-${id}`, vulnerable: "1.0.0", fixed: "1.0.1", cve: "CVE-2000-0001", esm: false };
}

const figures = { predictedPauseMs: 20, windowMs: 60, totalMs: 90, heapUsedBytes: 5_000_000, calls: 1 };

function result(kind: ResultKind, id: string, pausesMs: readonly number[] = []): CaseResult {
  const applies = pausesMs.map((pauseMs) => ({ ...figures, pauseMs }));
  const reason = kind === "closed" ? "" : `reason of ${id}`;
  return { case: caseNamed(id), nodeVersion: "26.0.0", kind, reason, notes: [], applies, reverts: [], answers: [] };
}

function results(counts: Partial<Record<ResultKind, number>>): CaseResult[] {
  return Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, index) => result(kind as ResultKind, `${kind}-${index}`.replaceAll(" ", "-"))),
  );
}

const rows: readonly { readonly counts: Partial<Record<ResultKind, number>>; readonly missing: readonly RegExp[] }[] = [
  { counts: { closed: 9, "refused at build": 1 }, missing: [] },
  { counts: { closed: 8, "refused at build": 2 }, missing: [/80 % closed, fewer than 90 %/] },
  { counts: { closed: 99, wrong: 1 }, missing: [/1 called applied while the hole was open/] },
  { counts: { closed: 99, failed: 1 }, missing: [/1 neither closed nor refused at build/] },
  { counts: { closed: 99, "refused at apply": 1 }, missing: [/1 neither closed nor refused at build/] },
  { counts: { closed: 9, "probe unusable": 5 }, missing: [] },
  { counts: { "probe unusable": 5 }, missing: [/0 % closed/] },
];

describe("the verdict", () => {
  for (const { counts, missing } of rows) {
    test(JSON.stringify(counts), () => {
      const found = shortcomings([totalsOf("26.0.0", results(counts))]);
      assert.equal(found.length, missing.length, found.join("\n"));
      for (const [index, pattern] of missing.entries()) assert.match(found[index] ?? "", pattern);
    });
  }
});

test("the totals take every apply into the median", () => {
  const totals = totalsOf("26.0.0", [result("closed", "one", [10, 20]), result("closed", "two", [30, 400])]);
  assert.deepEqual(totals.pauseMs, { median: 25, max: 400 });
  assert.match(totalsLine(totals), /^Node 26\.0\.0: 2 of 2 closed \(100 %\), 0 wrong; pause median 25 ms, max 400 ms/);
});

test("the table shows the longer pause and names each reason once", () => {
  const text = table([result("closed", "one", [10, 20]), result("refused at build", "two"), result("failed", "two")]);
  assert.match(text, /^one +package-one 1\.0\.0 → 1\.0\.1 +CVE-2000-0001 +26\.0\.0 +closed +20 +20 +60 +1$/m);
  assert.match(text, /^two .* refused at build \[1\] +– +– +– +–$/m);
  assert.equal(text.match(/two: reason of two/g)?.length, 1);
});

describe("the choice of cases", () => {
  const cases = Array.from({ length: 28 }, (_, index) => caseNamed(`case-${index}`));

  test("a sample is spread over the list from its first to its last case", () => {
    const ids = sampleCases(cases, 6).map(({ id }) => id);
    assert.deepEqual(ids, ["case-0", "case-5", "case-11", "case-16", "case-22", "case-27"]);
    assert.deepEqual(sampleCases(cases, 100), cases);
    assert.equal(sampleCases(cases, 1)[0]?.id, "case-0");
  });

  test("a case that is not in the corpus is an error", () => {
    assert.deepEqual(onlyCases(cases, ["case-3", "case-1"]), [cases[1], cases[3]]);
    assert.throws(() => onlyCases(cases, ["case-3", "nothing"]), /no case nothing/);
  });
});

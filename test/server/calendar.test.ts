/** The rules of the servicing calendar, of baselines and of searches: pure, in tables. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Baseline, Release } from "../../src/api/schemas/catalog.ts";
import type { Hotpatch } from "../../src/api/schemas/hotpatches.ts";
import {
  beginOf,
  calendarRows,
  isBaselineMonth,
  monthAfter,
  nextBaselineMonth,
} from "../../src/server/calendar/calendar.ts";
import { versionIn } from "../../src/server/calendar/device-facts.ts";
import { placeAmong, type StandingFacts, standingOn } from "../../src/server/calendar/standing.ts";
import { matches } from "../../src/server/catalog/search.ts";
import { fc } from "../support/properties.ts";

const release: Release = {
  ...{ stage: "general", channel: "standard", cadence: "monthly", month: "2026-10", availableAt: "2026-10-13" },
  ...{ build: null, baseline: null, track: "keeps", restart: "required", ratings: [] },
};

function baseline(
  id: string,
  more: Partial<Omit<Baseline, "release">> & { release?: Partial<Release> } = {},
): Baseline {
  return {
    ...{ id, title: id, description: null, unplanned: false, advisories: [], supersedes: [] },
    ...{ severity: null, score: null, exploited: false },
    system: { id: "debian", version: "12", architecture: null },
    requires: { packages: {}, kernel: null, build: null },
    ...more,
    release: { ...release, ...more.release },
  };
}

function hotpatch(id: string, more: Partial<Release>): Pick<Hotpatch, "id" | "title" | "release"> {
  return { id, title: id, release: { ...release, channel: "hotpatch", restart: "none", ...more } };
}

describe("the calendar", () => {
  test("a year as the model prints it: what is released, and what is planned", () => {
    const baselines = [
      baseline("october", { release: { build: "12.7" } }),
      baseline("august", { unplanned: true, release: { month: "2026-08", availableAt: "2026-08-11" } }),
    ];
    const hotpatches = [
      hotpatch("nov", { month: "2026-11", availableAt: "2026-11-10" }),
      hotpatch("urgent", { month: "2026-11", availableAt: "2026-11-19", cadence: "outOfBand" }),
    ];
    const rows = calendarRows({ hotpatches, baselines }, { from: "2026-08", months: 6, present: "2026-11" });
    assert.deepEqual(
      rows.map(({ month, updateType, type, availableAt, build, id }) => [
        month,
        updateType,
        type,
        availableAt,
        build,
        id,
      ]),
      [
        ["2026-08", "2026.08 B*", "Baseline (Restart)", "2026-08-11", null, "august"],
        ["2026-10", "2026.10 B", "Baseline (Restart)", "2026-10-13", "12.7", "october"],
        ["2026-11", "2026.11 B", "Hotpatch", "2026-11-10", null, "nov"],
        ["2026-11", "2026.11 OOB", "Hotpatch", "2026-11-19", null, "urgent"],
        ["2026-12", "2026.12 B", "Hotpatch", null, null, null],
        ["2027-01", "2027.01 B", "Baseline (Restart)", null, null, null],
      ],
    );
  });

  test("an update out of band does not stand for that of its month", () => {
    const hotpatches = [hotpatch("urgent", { month: "2026-12", cadence: "outOfBand" })];
    const rows = calendarRows({ hotpatches, baselines: [] }, { from: "2026-12", months: 1, present: "2026-11" });
    assert.deepEqual(
      rows.map(({ updateType, id }) => [updateType, id]),
      [
        ["2026.12 B", null],
        ["2026.12 OOB", "urgent"],
      ],
    );
  });

  test("months follow one another over years, and the next baseline is at most three months away", () => {
    const months = fc.tuple(fc.integer({ min: 1970, max: 2400 }), fc.integer({ min: 1, max: 12 }));
    fc.assert(
      fc.property(months, fc.nat(60), ([year, number], count) => {
        const month = `${year}-${String(number).padStart(2, "0")}`;
        let stepped = month;
        for (let step = 0; step < count; step += 1) stepped = monthAfter(stepped);
        assert.equal(monthAfter(month, count), stepped);
        const next = nextBaselineMonth(month);
        assert.ok(isBaselineMonth(next) && next > month && next <= monthAfter(month, 3));
        assert.ok(beginOf(next) > beginOf(month));
      }),
    );
  });
});

describe("where a machine stands", () => {
  const requires = { packages: { libexpat1: "2.5.0-1+deb12u1" }, kernel: "6.1.0-26", build: "12.7" };
  const good: StandingFacts = {
    ...{ osId: "debian", osVersion: "12", architecture: "x86_64", kernel: "6.1.0-26-amd64", build: "12.7" },
    packageVersion: (name) => ({ libexpat1: "2.5.0-1+deb12u1" })[name],
  };
  const rows: readonly (readonly [what: string, facts: StandingFacts, kind: string, lacks: readonly string[]])[] = [
    ["all of it", good, "current", []],
    ["a newer kernel", { ...good, kernel: "6.1.0-26.1-amd64" }, "current", []],
    ["a newer series", { ...good, kernel: "6.10.0-1-amd64" }, "current", []],
    ["an older kernel", { ...good, kernel: "6.1.0-9-amd64" }, "behind", ["kernel 6.1.0-26 (6.1.0-9-amd64 runs)"]],
    [
      "an older kernel that waits for its restart",
      { ...good, kernel: "6.1.0-25-amd64", restartRequired: true },
      ...(["restart", ["kernel 6.1.0-26 (6.1.0-25-amd64 runs)"]] as const),
    ],
    ["an older build", { ...good, build: "12.5" }, "behind", ["build 12.7 (it has 12.5)"]],
    ["the package not installed", { ...good, packageVersion: () => undefined }, "current", []],
    [
      "an older package",
      { ...good, packageVersion: () => "2.5.0-1" },
      ...(["behind", ["libexpat1 2.5.0-1+deb12u1 (it has 2.5.0-1)"]] as const),
    ],
    ["no word of packages", { ...good, packageVersion: undefined }, "unknown", ["packages"]],
    ["no word of its system", { ...good, osId: undefined }, "unknown", ["os.id"]],
    ["another system", { ...good, osId: "ubuntu", osVersion: undefined }, "elsewhere", []],
  ];
  for (const [what, facts, kind, lacks] of rows) {
    test(what, () => assert.deepEqual(standingOn(facts, baseline("b", { requires })), { kind, lacks }));
  }

  test("a machine on an older baseline is on that one, and a preview is the newest for those alone who asked", () => {
    const kernel = (version: string) => ({ packages: {}, kernel: version, build: null });
    const all = [
      baseline("jul", { requires: kernel("6.1.0-20"), release: { month: "2026-07" } }),
      baseline("oct", { requires: kernel("6.1.0-26") }),
      baseline("jan", { requires: kernel("6.1.0-30"), release: { month: "2027-01", stage: "preview" } }),
    ];
    const facts = { ...good, kernel: "6.1.0-25-amd64" };
    const plain = placeAmong(facts, all, { preview: false });
    assert.deepEqual([plain.on?.id, plain.newest?.id, plain.standing.kind], ["jul", "oct", "behind"]);
    assert.equal(placeAmong(facts, all, { preview: true }).newest?.id, "jan");
    assert.equal(placeAmong({ ...good, osId: "ubuntu" }, all, { preview: true }).standing.kind, "elsewhere");
  });

  test("the version of a package is found in JSON as a parser finds it", () => {
    const text = fc.string({ unit: fc.constantFrom('"', "\\", ":", ",", "{", "a", "b", "é", "\n") });
    fc.assert(
      fc.property(fc.dictionary(text, text), text, (packages, name) => {
        const wanted = Object.hasOwn(packages, name) ? packages[name] : undefined;
        assert.equal(versionIn(JSON.stringify(packages), name), wanted);
      }),
      { numRuns: 2000, examples: [[{ "": ",", ":": "" }, ","]] },
    );
  });
});

describe("a search", () => {
  const cvss = { vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", score: 9.8 };
  const entry: Hotpatch = {
    ...{ id: "elf-expat-1", title: "expat: parser hole", sequence: 1, supersedes: [], digest: "", sizeBytes: 1 },
    target: { kind: "elf", name: "expat" },
    advisories: [{ id: "CVE-2026-7", severity: "high" }],
    release: {
      ...release,
      stage: "preview",
      channel: "hotpatch",
      ratings: [{ id: "CVE-2026-7", cvss, exploited: true }],
    },
    ...{ severity: "high", score: 9.8, exploited: true },
  };
  const rows: readonly (readonly [asked: Parameters<typeof matches>[1], expected: boolean])[] = [
    [{}, true],
    [{ text: "PARSER cve-2026" }, true],
    [{ text: "parser lodash" }, false],
    [{ cve: "cve-2026-7" }, true],
    [{ cve: "CVE-2026-70" }, false],
    [{ severity: "moderate" }, true],
    [{ severity: "critical" }, false],
    [{ product: "expat" }, true],
    [{ product: "elf/expat" }, true],
    [{ product: "exp" }, false],
    [{ stage: "preview", channel: "hotpatch", exploited: true }, true],
    [{ stage: "general" }, false],
    [{ exploited: false }, false],
  ];
  for (const [asked, expected] of rows) {
    test(JSON.stringify(asked), () => assert.equal(matches(entry, asked), expected));
  }
  test("what nobody rated is of no severity", () => {
    assert.equal(matches({ ...entry, severity: null }, { severity: "low" }), false);
  });
});

/** Checks for semver: versions, ranges and comparators, each with each other. */
"use strict";
const { calls, grid, quick } = require("../checks.cjs");

const versions = [
  "1.2.3",
  "v1.2.3",
  " =1.2.3 ",
  "1.2.3-alpha.1",
  "1.2.3-alpha.1+build.5",
  "0.0.0",
  "10.20.30",
  "1.2",
  "01.2.3",
  "1.2.3.4",
  "",
  "latest",
  "1.2.3-0",
  "9007199254740991.0.0",
  "99999999999999999999.0.0",
  "\t2.0.0\n",
];
const ranges = [
  "*",
  "",
  "1",
  "1.x",
  "~1.2",
  "^1.2.3",
  "^0.0.1",
  "~> 1",
  ">=1.2.3 <2",
  ">= 1.2.3   <  2.0.0",
  "1.2.3 - 2.3",
  " 1.0.0  -  2.0.0 ",
  "<1 || >=2.0.0-rc",
  "||",
  "1.2.3 || ",
  "^1.2.3-alpha",
  ">x",
  "!1",
  "not a range",
  "^ 1 . 2",
  "~ 1.2.3  ||\t>=3\n<4",
  "=1.2.3",
  ">=0.0.0-0",
  "<0.0.0-0",
];
const options = [undefined, { loose: true }, { includePrerelease: true }];
const comparators = [
  ">=1.2.3",
  " >=  1.2.3 ",
  "<2",
  "",
  "*",
  "=1.0.0-alpha",
  ">1.2.3-beta",
  "<0.0.0",
  "nonsense",
  ">= 1 . 2 . 3",
];
let spaces = 40_000;
const odd = [null, undefined, 5, {}, [], new Date(0), true];
const releases = ["major", "premajor", "minor", "preminor", "patch", "prepatch", "prerelease", "pre", "unknown"];

function pairs(left, right) {
  return left.flatMap((one) => right.map((other) => [one, other]));
}

const operators = ["<", "<=", "=", "==", "===", "!=", "!==", ">", ">=", "", "~"];
const loose = [...versions, "v1", "x1.2y", "1.2.3.4.5", "a1b2c3", "9".repeat(30)];

function versionChecks({ library, SemVer, valid, coerce, diff, inc, parse, clean, compare, instances }) {
  const { compareLoose, compareBuild, prerelease, major, minor, patch, cmp, eq, gt, sort, rsort } = library;
  const { version } = instances;
  const good = versions.filter((one) => valid(one) !== null);
  const increments = pairs(good, releases).flatMap((pair) => [pair, [...pair, "beta"]]);
  const coerced = [...pairs(loose, [undefined, { rtl: true }]), ...odd.map((one) => [one])];
  const compared = (one) => [version.compare(one), version.compareMain(one), version.comparePre(one)];
  return [
    ...grid({ valid, parse, clean }, pairs(versions, options)),
    ...grid({ coerce }, coerced),
    ...grid({ diff, compare, compareLoose, compareBuild, eq, gt }, pairs(good, good.slice(0, 5))),
    ...grid({ inc }, increments),
    ...grid({ SemVer: (one, option) => new SemVer(one, option) }, pairs([...versions, ...odd], options)),
    ...calls("parts", (one) => [prerelease(one), major(one), minor(one), patch(one)], versions),
    ...calls("cmp", (operator) => cmp("1.2.3", operator, "1.2.4"), operators),
    ...calls("an old version", compared, good),
    ["sort", () => [sort([...good]), rsort([...good])]],
  ];
}

function rangeChecks({ library, Range, Comparator, satisfies, valid, validRange, instances }) {
  const { minVersion, maxSatisfying, minSatisfying, subset, intersects, outside, gtr, ltr } = library;
  const { simplifyRange, toComparators } = library;
  const { range, comparator } = instances;
  const good = versions.filter((one) => valid(one) !== null);
  const described = (given, option) => {
    const { raw, range: text, set, loose: isLoose, includePrerelease } = new Range(given, option);
    return [raw, text, set, isLoose, includePrerelease];
  };
  const chosen = (given) => [maxSatisfying(good, given), minSatisfying(good, given), simplifyRange(good, given)];
  const above = (one, given) => outside(one, given, ">");
  const tested = (one) => [range.test(one), comparator.test(one), range.raw, range.format()];
  return [
    ...grid({ validRange, minVersion, Range: described, toComparators }, pairs(ranges, options)),
    ...grid({ satisfies }, pairs(versions.slice(0, 8), ranges)),
    ...grid({ Comparator: (one, option) => new Comparator(one, option) }, pairs([...comparators, ...odd], options)),
    ...grid({ subset, intersects }, pairs(ranges.slice(0, 12), ranges.slice(4, 12))),
    ...grid({ gtr, ltr, above }, pairs(good.slice(0, 4), ranges.slice(0, 14))),
    ...calls("maxSatisfying", chosen, ranges),
    ...calls("an old range", tested, versions),
    // The package remembers ranges, so each round asks for another one.
    quick("a range of many spaces", () => {
      spaces += 1;
      new Range(`>=${" ".repeat(spaces)}1.2.3${" ".repeat(spaces)}<2.0.0${" ".repeat(spaces)}x`);
    }),
  ];
}

module.exports = {
  keep: (semver) => {
    const { Range, SemVer, Comparator, satisfies, valid, validRange, coerce, diff, inc, parse, clean, compare } =
      semver;
    const instances = {
      range: new Range(">=1.2.3 <2 || ^3"),
      comparator: new Comparator(">=1.2.3"),
      version: new SemVer("1.2.3-rc.1"),
    };
    const functions = { satisfies, valid, validRange, coerce, diff, inc, parse, clean, compare };
    return { library: { ...semver }, Range, SemVer, Comparator, ...functions, instances };
  },
  checks: (kept) => [...versionChecks(kept), ...rangeChecks(kept)],
};

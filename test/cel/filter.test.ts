/** Expressions over devices: what holds, what stays open, what is wrong and where, and that nothing hostile costs much. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { factRows, singleFacts } from "../../src/api/fact-catalog.ts";
import type { Facts } from "../../src/api/schemas/devices.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { compileFilter, type FilterDevice } from "../../src/cel/compile-filter.ts";
import { compareDebianVersions } from "../../src/cel/debian-version.ts";
import { filterLimits } from "../../src/cel/filter-limits.ts";
import { callable } from "../../src/cel/inspect-filter.ts";
import { fc } from "../support/properties.ts";

const facts: Facts = {
  "os.id": "debian",
  "memory.bytes": 8_000_000_000,
  "firmware.secureBoot": true,
  "os.like": ["unix"],
  "kernel.version": 7,
  packages: { openssl: "3.0.17-1~deb12u2", constructor: "1" },
  "binary.c0ffee": ["/usr/bin/x", "x", "1.2"],
};

function device(extra: Partial<FilterDevice> = {}): FilterDevice {
  const enrolledAtMs = Date.parse("2026-01-01T00:00:00Z");
  return { id: "00000000-0000-4000-8000-000000000000", name: "web-1", enrolledAtMs, tags: ["prod"], facts, ...extra };
}

describe("what an expression comes to", () => {
  const rows: readonly (readonly [text: string, kind: "holds" | "fails" | "unknown"])[] = [
    ['os.id == "debian"', "holds"],
    ['os["id"] == "debian"', "holds"],
    ['os.id in ["debian", "ubuntu"] && "prod" in tags', "holds"],
    ['"test" in tags', "fails"],
    ["memory.bytes >= 8 * 1000 * 1000 * 1000", "holds"],
    ["memory.bytes > 8000000000", "fails"],
    ["firmware.secureBoot", "holds"],
    ['"unix" in os.like', "holds"],
    ['packages["openssl"].olderThan("3.0.17-1~deb12u3")', "holds"],
    ['packages.openssl.olderThan("3.0.17-1~deb12u2")', "fails"],
    ['packages["openssl"].olderThan("1:0")', "holds"],
    ['"nginx" in packages', "fails"],
    ['"toString" in packages', "fails"],
    ['packages["constructor"] == "1"', "holds"],
    ['packages.exists(p, p.startsWith("open"))', "holds"],
    ['"c0ffee" in binary && binary["c0ffee"][1] == "x"', "holds"],
    ['device.name.matches("^web-[0-9]+$")', "holds"],
    ['device.enrolledAt < timestamp("2026-06-01T00:00:00Z")', "holds"],
    ['os.version == "12"', "unknown"],
    ['!(os.version == "12")', "unknown"],
    ['os.version == "12" || os.id == "debian"', "holds"],
    ['os.id == "debian" || os.version == "12"', "holds"],
    ['os.version == "12" && os.id == "alpine"', "fails"],
    ['os.version == "12" && os.id == "debian"', "unknown"],
    ["has(os.version)", "fails"],
    ['!has(os.version) || os.version == "12"', "holds"],
    ['os.version == "12" ? true : true', "unknown"],
    ['tags.exists(t, t == "prod" || os.version == t)', "holds"],
    ['packages["nginx"] == "1"', "unknown"],
    ["int(os.id) == 1", "unknown"],
    ["1 / (processes - processes) == 1", "unknown"],
    ['kernel.version == "7"', "unknown"],
  ];
  for (const [text, kind] of rows) {
    test(`${text}: ${kind}`, () => assert.equal(compileFilter(text, "group").evaluate(device()).kind, kind));
  }

  test("who asks why is told what is missing", () => {
    const missing = (text: string, of = device()) => {
      const outcome = compileFilter(text, "group").evaluate(of);
      return outcome.kind === "unknown" ? [outcome.missing, outcome.why] : outcome.kind;
    };
    const two = ["os.edition", "os.version"];
    assert.deepEqual(missing('os.version == "12" && os.edition == os.id'), [
      two,
      "the device does not tell os.edition, os.version",
    ]);
    assert.deepEqual(missing('kernel.version == "7"'), [["kernel.version"], "the device does not tell kernel.version"]);
    assert.deepEqual(missing('!("aa" in binary)', device({ facts: {} })), [
      ["binary"],
      "the device does not tell binary",
    ]);
    assert.deepEqual(missing("int(os.id) == 1"), [[], "int() type error: cannot convert to int"]);
  });

  test("a search may ask for groups and for when a device was seen, and a group may not", () => {
    const text =
      '"all" in groups && device.lastSeenAt > timestamp("2026-01-01T00:00:00Z") && device.state == "enrolled"';
    const seen = device({ groups: ["all"], state: "enrolled", lastSeenAtMs: Date.parse("2026-02-01T00:00:00Z") });
    assert.equal(compileFilter(text, "search").evaluate(seen).kind, "holds");
    assert.equal(compileFilter(text, "search").evaluate({ ...seen, lastSeenAtMs: null }).kind, "unknown");
    for (const part of text.split(" && ")) assert.throws(() => compileFilter(part, "group"), /there is no/);
  });

  test("it says which facts it needs", () => {
    const filter = compileFilter('os["id"] == "x" || "a" in binary || "t" in tags || has(tpm.version)', "group");
    assert.deepEqual(
      [[...filter.facts].toSorted(), filter.asksBinaries, [...filter.others]],
      [["os.id", "tpm.version"], true, ["tags"]],
    );
  });
});

function faultOf(text: string): RebootlessError {
  try {
    compileFilter(text, "group");
  } catch (error) {
    assert.ok(error instanceof RebootlessError && error.code === "request/filter", `${text.slice(0, 80)}: ${error}`);
    return error;
  }
  return assert.fail(`no fault in ${text.slice(0, 80)}`);
}

describe("what is wrong is said, with its place and what exists", () => {
  const rows: readonly (readonly [text: string, place: readonly [number, number] | undefined, message: RegExp])[] = [
    ['os.idd == "x"', [0, 6], /there is no `os\.idd`; did you mean os\.id\?/],
    ['true && oss.id == "x"', [8, 11], /there is no `oss`; did you mean os\?/],
    ["frobnicate", [0, 10], /there is no `frobnicate`; there are agent, binary, /],
    ['os == "x"', [0, 2], /`os` alone says nothing; there are os\.id, /],
    ['os[tags[0]] == "x"', [0, 11], /write the name of the fact out/],
    ['os.id.startswith("d")', [0, 21], /did you mean startsWith\?/],
    ["os.id < 3", [0, 9], /string < int/],
    ["os.id ==", [8, 8], /unexpected token: EOF/],
    ['os.id = "x"', [6, 7], /unexpected character: =/],
    ["", [0, 0], /unexpected token/],
    ["memory.bytes", undefined, /has to be a condition, and this one gives int/],
    ['os.id.matches("(")', [14, 17], /this is no pattern/],
    ["os.id.matches(os.id)", [14, 19], /written out/],
    ['tags.exists(os, os == "x")', [12, 14], /the name of a fact; choose another/],
    ["tags.exists(1, true)", undefined, /iteration variable/],
  ];
  for (const [text, place, message] of rows) {
    test(text === "" ? "(nothing)" : text, () => {
      const fault = faultOf(text);
      assert.match(fault.message, message);
      if (place !== undefined) assert.deepEqual([fault.details.start, fault.details.end], place);
    });
  }
});

/** A device that tells as much as a hostile agent can. */
const large = device({
  tags: Array.from({ length: 50 }, (_, index) => `tag-${index}`),
  facts: {
    ...facts,
    "os.name": "a".repeat(4096),
    "os.like": Array.from({ length: 256 }, () => "a".repeat(512)),
    packages: Object.fromEntries(Array.from({ length: 6000 }, (_, i) => [`${"a".repeat(200)}${i}`, "a".repeat(512)])),
  },
});

describe("hostile expressions", () => {
  const refused: readonly (readonly [what: string, text: string])[] = [
    ["too long", `true${" ".repeat(filterLimits.characters)}`],
    ["too deep", `${"(".repeat(200)}true${")".repeat(200)}`],
    ["deep negation", `${"!".repeat(500)}true`],
    ["too many parts", Array.from({ length: 300 }, () => "true").join("||")],
    ["a long list", `1 in [${Array.from({ length: 150 }, () => 1).join(",")}]`],
    ["lists in lists", "packages.all(a, packages.all(b, a != b))"],
    ["lists in lists of lists", "tags.all(a, tags.all(b, tags.all(c, a + b + c != '')))"],
    ["lists of a list made by a list", "packages.map(a, packages).all(b, b.all(c, c == ''))"],
    ["a list that grows", "packages.map(a, a + a).map(b, b + b).map(c, c.split('')).size() > 0"],
    ["a binding that doubles", 'cel.bind(a, "x" + "x", cel.bind(b, a + a, b + b == ""))'],
    ["types that escape the check", "dyn(os.id).constructor == 1"],
    ["the prototype", 'os.__proto__ == "x"'],
    ["a constructor", 'os.constructor == "x"'],
    ["bytes as JSON", 'bytes("{}").json() == {}'],
    ["a pattern that repeats", 'os.name.matches("((((a{9}){9}){9}){9})")'],
    ["a long pattern", `os.name.matches("${"a".repeat(101)}")`],
    ["a reserved word", "while == 1"],
  ];
  for (const [what, text] of refused) test(`refused: ${what}`, () => void faultOf(text));

  test("what is allowed ends soon, on a device that tells all that it may", () => {
    const allowed = [
      'os.name.matches("^(a+)+$b")',
      'os.name.matches("(a|aa)*(a|aa)*(a|aa)*b")',
      'os.name.matches("^((a?){9}){5}$")',
      'packages.exists(p, p.matches("^(a+)+$"))',
      "packages.all(p, p.startsWith('a') && p.endsWith('z') == false)",
      "os.like.map(a, a + a + a + a).filter(b, b.contains('b')).size() == 0",
      "tags.all(a, tags.all(b, a + b != ''))",
      'os.like.all(a, a.split("").size() > 1)',
    ];
    for (const text of allowed) {
      const filter = compileFilter(text, "group");
      const began = performance.now();
      filter.evaluate(large);
      assert.ok(performance.now() - began < 3_000, `${text}: ${performance.now() - began} ms`);
    }
  });

  test("whatever is written, it is a filter or a fault, and never changes the device", () => {
    const words = [
      "os.id",
      "packages",
      "tags",
      '"x"',
      "1",
      "-1",
      "1.5",
      "true",
      "null",
      "==",
      "&&",
      "||",
      "!",
      "(",
      ")",
    ];
    const more = [
      "[",
      "]",
      "{",
      "}",
      ",",
      ".",
      "?",
      ":",
      "in",
      "+",
      "/",
      "%",
      ".exists(a,",
      ".map(b,",
      "has(",
      "size(",
      "a",
      "b",
    ];
    const text = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc.array(fc.constantFrom(...words, ...more), { maxLength: 25 }).map((parts) => parts.join(" ")),
    );
    const frozen = JSON.stringify(facts);
    fc.assert(
      fc.property(text, (given) => {
        try {
          const { kind } = compileFilter(given, "search").evaluate(device());
          assert.ok(["holds", "fails", "unknown"].includes(kind));
        } catch (error) {
          assert.ok(error instanceof RebootlessError && error.code === "request/filter", `${given}: ${error}`);
        }
      }),
      { numRuns: 3000 },
    );
    assert.equal(JSON.stringify(facts), frozen);
  });
});

test("Debian versions sort as deb-version(7) says", () => {
  const rising = [
    "~~",
    "~~a",
    "~",
    "",
    "1.0~rc1-1",
    "1.0-1~deb12u1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-2",
    "1.0.1",
    "1.9",
    "1.10",
    "1.10a",
    "1.10+",
    "1:0.1",
  ];
  for (const [index, version] of rising.entries()) {
    assert.equal(compareDebianVersions(version, version), 0);
    for (const later of rising.slice(index + 1)) {
      assert.ok(compareDebianVersions(version, later) < 0, `${version} before ${later}`);
      assert.ok(compareDebianVersions(later, version) > 0, `${later} behind ${version}`);
    }
  }
});

test("the document has the bounds, the functions and only facts that exist", () => {
  const document = readFileSync(new URL("../../docs/filters.md", import.meta.url), "utf8");
  const rows = [...document.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, value]) => [name, Number(value)]);
  assert.deepEqual(Object.fromEntries(rows), { ...filterLimits });
  for (const name of callable) assert.ok(document.includes(`\`${name}`) || document.includes(`.${name}(`), name);
  const [, examples = ""] = /```\n([^`]*)```/.exec(document) ?? [];
  for (const line of examples.trim().split("\n")) compileFilter(line, "group");
  assert.ok(factRows.length > singleFacts.size && singleFacts.size > 30);
});

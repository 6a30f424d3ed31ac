/** Builds from two small packages: what a rehearsal makes work, and what it refuses rather than let it be called applied. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { RefusalError } from "../../src/base/refusal.ts";
import { buildNpmHotpatch } from "../../src/build/hotpatch-build.ts";
import type { Hotpatch } from "../../src/hotpatch/hotpatch.ts";
import { nodeChangeOf } from "../../src/hotpatch/manifest.ts";

const folder = mkdtempSync(join(tmpdir(), "rebootless-build-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;
let count = 0;

function writePackage(version: string, files: Files): string {
  const place = join(folder, `${++count}-${version}`);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "package.json"), JSON.stringify({ name: "small", version, main: "index.js" }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(place, name), text);
  return place;
}

async function build(before: Files, afterwards: Files): Promise<Hotpatch> {
  const fix = { vulnerable: writePackage("1.0.0", before), fixed: writePackage("1.0.1", afterwards) };
  return await buildNpmHotpatch(fix, {
    cwd: folder,
    advisories: [],
    sequence: 1,
    nodePath: process.execPath,
    progress: () => undefined,
  });
}

async function refusal(before: Files, afterwards: Files): Promise<string> {
  try {
    await build(before, afterwards);
  } catch (error) {
    if (error instanceof RefusalError) return error.refusals.map(({ message }) => message).join("\n");
    throw error;
  }
  return "(built)";
}

const deltaText = ({ manifest, payloads }: Hotpatch, path: string): string => {
  const name = nodeChangeOf(manifest).files.find((file) => file.path === path)?.delta?.text;
  return name === undefined ? "" : Buffer.from(payloads.get(name) ?? []).toString("utf8");
};

test("a table that a changed helper built while the module loaded is built again", async () => {
  const text = (word: string): Files => ({
    "index.js": `function make() {\n  return ["${word}"];\n}\nconst table = make();\nexports.allows = (word) => table.includes(word);\n`,
  });
  const hotpatch = await build(text("evil"), text("good"));
  assert.match(deltaText(hotpatch, "index.js"), /\.table = /);
});

test("a list that another file computed from a changed table is computed again", async () => {
  const table = (keys: string): string => `exports.table = { ${keys} };\n`;
  const rest = {
    "keys.js": `const source = require("./table");\nexports.keys = Object.keys(source.table);\n`,
    "index.js": `exports.keys = require("./keys").keys;\nexports.check = (key) => require("./keys").keys.includes(key);\n`,
  };
  const hotpatch = await build({ "table.js": table("a: 1"), ...rest }, { "table.js": table("a: 1, b: 2"), ...rest });
  assert.deepEqual(
    nodeChangeOf(hotpatch.manifest)
      .files.map(({ path }) => path)
      .sort(),
    ["index.js", "keys.js", "table.js"],
  );
});

test("an exported function that a changed argument made is refused, since whoever took it keeps it", async () => {
  const text = (depth: string): Files => ({
    "index.js": `const make = (depth) => (text) => text.length < depth;\nexports.check = make(${depth});\n`,
  });
  assert.match(await refusal(text("Infinity"), text("100")), /check/);
});

test("a package that loads a file by a getter only is refused for what that file cannot be given", async () => {
  const index = `Object.defineProperty(exports, "make", { enumerable: true, get: () => require("./make") });\n`;
  const make = (limit: string): string =>
    `module.exports = function make(options) {\n  const limit = options.limit || ${limit};\n  return (text) => text.length < limit;\n};\n`;
  assert.match(
    await refusal({ "index.js": index, "make.js": make("Infinity") }, { "index.js": index, "make.js": make("100") }),
    /keep their limit/,
  );
});

test("a further export and a new helper are no reason to refuse", async () => {
  const before = { "index.js": `exports.check = function check(text) {\n  return text.length;\n};\n` };
  const fixed = {
    "index.js": `const limit = 5;\nfunction cut(text) {\n  return text.slice(0, limit);\n}\nexports.cut = cut;\nexports.check = function check(text) {\n  return cut(text).length;\n};\n`,
  };
  assert.equal(await refusal(before, fixed), "(built)");
});

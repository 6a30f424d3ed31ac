/** The house rules, kept by a test: the checkout has no problem, and each check finds the problem that it is there for. */
import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { emptyCatches, fileSizes, functionSizes, skippedTests } from "./code.ts";
import { dependencyReasons, links, lockfileHosts, names, runtimeDependencies, seededProperties } from "./house.ts";
import { brokenImports, deadFiles, importCircles, importDirections } from "./rooms.ts";
import { type Problem, readTree, type Tree, treeOf } from "./tree.ts";

type Check = (tree: Tree) => readonly Problem[];

function shown(problems: readonly Problem[]): string {
  return problems.map(({ file, message }) => `${file}: ${message}`).join("\n");
}

const longFunction = `export function f() {\n${"  g();\n".repeat(69)}}\n`;
const manifest = '{"dependencies":{"acorn":"1.0.0"},"devDependencies":{"typescript":"1.0.0"}}';

interface Row {
  readonly name: string;
  readonly check: Check;
  /** Trees that must each give exactly one problem, with the message that it must have. */
  readonly bad: readonly { readonly files: Record<string, string>; readonly message: RegExp }[];
  /** A tree that comes close and is fine. */
  readonly good: Record<string, string>;
}

const rows: readonly Row[] = [
  {
    name: "rooms import in one direction",
    check: importDirections,
    bad: [
      {
        files: { "src/base/a.ts": 'import "../hotpatch/b.ts";', "src/hotpatch/b.ts": "" },
        message: /may not import src\/hotpatch\/b.ts/,
      },
      {
        files: {
          "src/console/a.tsx": 'import { b } from "../server/b.ts";\nexport const a = <b />;',
          "src/server/b.ts": "",
        },
        message: /may not import src\/server/,
      },
      {
        files: { "src/base/a.ts": 'import type { B } from "../cli/b.ts";', "src/cli/b.ts": "" },
        message: /may not import src\/cli/,
      },
      {
        files: { "src/base/a.ts": 'export const b = import("../../test/b.ts");', "test/b.ts": "" },
        message: /may not import test\/b.ts/,
      },
      {
        files: { "src/engine/a.ts": 'import "../build/b.ts";', "src/build/b.ts": "" },
        message: /may not import src\/build/,
      },
      {
        files: { "src/build/a.ts": 'import "../engine/node/b.ts";', "src/engine/node/b.ts": "" },
        message: /may not import src\/engine/,
      },
      {
        files: { "src/repository/client/a.ts": 'import "../writer/b.ts";', "src/repository/writer/b.ts": "" },
        message: /may not import src\/repository\/writer/,
      },
      {
        files: { "src/repository/writer/a.ts": 'import "../client/b.ts";', "src/repository/client/b.ts": "" },
        message: /may not import src\/repository\/client/,
      },
      { files: { "src/attic/a.ts": "" }, message: /the room attic is not in the table/ },
    ],
    good: {
      "src/console/a.tsx": 'import type { B } from "../api/b.ts";\nexport const a = <p>{"b" as B}</p>;',
      "src/api/b.ts": "export type B = string;",
      "src/build/rehearsal.ts": 'import "../engine/node/b.ts";',
      "src/engine/node/b.ts": 'import "../../base/c.ts";',
      "src/base/c.ts": "",
    },
  },
  {
    name: "no circles",
    check: importCircles,
    bad: [
      {
        files: { "src/base/a.ts": 'import "./b.ts";', "src/base/b.ts": 'import type { A } from "./a.ts";' },
        message: /src\/base\/a.ts → src\/base\/b.ts → src\/base\/a.ts/,
      },
    ],
    good: {
      "src/base/a.ts": 'import "./b.ts";\nimport "./c.ts";',
      "src/base/b.ts": 'import "./c.ts";',
      "src/base/c.ts": "",
    },
  },
  {
    name: "no dead files",
    check: deadFiles,
    bad: [{ files: { "src/cli/main.ts": "", "src/base/a.ts": "" }, message: /reached from no entry point/ }],
    good: {
      "src/cli/main.ts": 'import type { A } from "../base/a.ts";',
      "src/base/a.ts": 'export const b = new URL("./b.ts", import.meta.url);',
      "src/base/b.ts": "",
      "src/engine/node/agent/agent.cjs": '"use strict";',
    },
  },
  {
    name: "imports arrive",
    check: brokenImports,
    bad: [{ files: { "scripts/a.mjs": 'import "./b.mjs";' }, message: /imports \.\/b\.mjs, which is not there/ }],
    good: { "scripts/a.mjs": 'import "./b.mjs";', "scripts/b.mjs": "" },
  },
  {
    name: "files are at most 500 lines",
    check: fileSizes,
    bad: [{ files: { "src/base/a.ts": "f();\n".repeat(501) }, message: /has 501 lines/ }],
    good: { "src/base/a.ts": "f();\n".repeat(500) },
  },
  {
    name: "functions are at most 70 lines",
    check: functionSizes,
    bad: [
      { files: { "src/base/a.ts": longFunction }, message: /line 1: a function of 71 lines/ },
      { files: { "test/a.ts": `test("x", async () => {\n${"  g();\n".repeat(69)}});\n` }, message: /71 lines/ },
    ],
    good: {
      "src/console/a.tsx": "export const a = () => <p />;\n",
      "test/a.ts": `describe("x", () => {\n${"  g();\n".repeat(99)}});\n`,
    },
  },
  {
    name: "an empty catch has a reason",
    check: emptyCatches,
    bad: [
      { files: { "src/base/a.ts": "try { f(); } catch {}" }, message: /line 1: an empty catch/ },
      { files: { "src/base/a.ts": "f().catch(() => {});" }, message: /line 1: an empty catch/ },
      {
        files: { "src/console/a.tsx": "const a = <p />;\ntry { f(a as B); } catch {}" },
        message: /line 2: an empty catch/,
      },
    ],
    good: { "src/base/a.ts": "try { f(); } catch {\n  // It is gone already.\n}" },
  },
  {
    name: "a skipped test has a reason",
    check: skippedTests,
    bad: [
      { files: { "test/a.ts": "test.skip('x', f);" }, message: /test\.skip has no place for a reason/ },
      { files: { "test/a.ts": "test('x', { skip: true }, f);" }, message: /skip without a reason/ },
      { files: { "test/a.ts": "test('x', (t) => t.skip());" }, message: /t\.skip without a reason/ },
      { files: { "test/a.ts": "test('x', { only: true }, f);" }, message: /hides the other tests/ },
    ],
    good: { "test/a.ts": "test('x', { skip: root ? false : 'only root may' }, (t) => t.skip('no zsh'));" },
  },
  {
    name: "names are in kebab-case and say something",
    check: names,
    bad: [
      { files: { "src/base/FileReader.ts": "" }, message: /FileReader.ts is not in kebab-case/ },
      { files: { "src/my_room/a.ts": "" }, message: /my_room is not in kebab-case/ },
      { files: { "src/base/utils.ts": "" }, message: /does not say what is in it/ },
    ],
    good: { "src/base/file-reader.test.ts": "", "README.md": "", ".ci/a.json": "{}" },
  },
  {
    name: "links in documents arrive",
    check: links,
    bad: [
      {
        files: { "docs/a.md": "See [the map](../ARCHITECTURE.md#rooms)." },
        message: /links to \.\.\/ARCHITECTURE\.md#rooms/,
      },
      { files: { "docs/a.md": "See [it][x].\n\n[x]: ./b.md\n" }, message: /links to \.\/b\.md/ },
      { files: { "docs/a.md": "[out](../../b.md)" }, message: /links to \.\.\/\.\.\/b\.md/ },
    ],
    good: {
      "a.md": "[web](https://example.org/x) [here](#here) [b](docs/b.md) `[c](c.md)`\n```\n[d](d.md)\n```\n",
      "docs/b.md": "",
    },
  },
  {
    name: "each dependency has a reason",
    check: dependencyReasons,
    bad: [
      {
        files: { "package.json": manifest, "docs/dependencies.md": "- `acorn`: why" },
        message: /has no line for typescript/,
      },
      { files: { "package.json": "{}", "docs/dependencies.md": "- `acorn`: why" }, message: /acorn is no dependency/ },
    ],
    good: { "package.json": manifest, "docs/dependencies.md": "- `acorn`: why\n- `typescript`: why\n" },
  },
  {
    name: "the product imports what is installed with it",
    check: runtimeDependencies,
    bad: [
      {
        files: { "package.json": manifest, "src/base/a.ts": 'import ts from "typescript/x";' },
        message: /imports typescript/,
      },
    ],
    good: {
      "package.json": manifest,
      "src/base/a.ts": 'import "acorn";\nimport "node:fs";\nimport type { T } from "typescript";',
    },
  },
  {
    name: "random inputs have a seed",
    check: seededProperties,
    bad: [{ files: { "test/a.test.ts": 'import fc from "fast-check";' }, message: /take fc from/ }],
    good: { "test/support/properties.ts": 'import fc from "fast-check";\nexport { fc };' },
  },
  {
    name: "the lockfile names no registry",
    check: lockfileHosts,
    bad: [
      {
        files: { "package-lock.json": '{"packages":{"node_modules/a":{"resolved":"https://x/a.tgz"}}}' },
        message: /node_modules\/a has a "resolved"/,
      },
    ],
    good: { "package-lock.json": '{"packages":{"node_modules/a":{"version":"1.0.0"}}}' },
  },
];

const house = readTree(path.resolve(import.meta.dirname, "../.."));

for (const { name, check, bad, good } of rows) {
  describe(name, () => {
    test("in this checkout", () => {
      const problems = check(house);
      if (problems.length === 0) return;
      const error = new Error(shown(problems));
      // The list is the answer; where the test stands helps nobody to tidy up.
      error.stack = error.message;
      throw error;
    });
    test("a breach is found", () => {
      for (const { files, message } of bad) {
        const problems = check(treeOf(files));
        assert.equal(problems.length, 1, `${JSON.stringify(files)}: ${shown(problems)}`);
        assert.match(shown(problems), message);
      }
    });
    test("what is fine stays fine", () => {
      assert.equal(shown(check(treeOf(good))), "");
    });
  });
}

test("the checks see the whole checkout", () => {
  for (const file of [
    "src/cli/main.ts",
    "scripts/setup.mjs",
    "bin/rebootless.mjs",
    "package-lock.json",
    "docs/dependencies.md",
  ]) {
    assert.ok(house.files.has(file), file);
  }
});

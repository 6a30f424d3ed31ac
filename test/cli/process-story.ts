/** What the tests of the process commands begin with. */
import assert from "node:assert/strict";
import path from "node:path";
import type { TestContext } from "node:test";
import { type Application, startApplication, temporaryFolder, writePackage } from "../engine/node/application.ts";
import { type Desk, openDesk } from "./desk.ts";

export const before = {
  "index.js": `const { clean } = require("./clean");\nexports.say = function say(text) {\n  return "old " + clean(text);\n};\n`,
  "clean.js": `exports.clean = function clean(text) {\n  return text;\n};\n`,
};
const after = {
  "index.js": `const { clean } = require("./clean");\nexports.say = function say(text) {\n  return "new " + clean(text);\n};\n`,
  "clean.js": `exports.clean = function clean(text) {\n  return text.trim();\n};\n`,
};
const program = `const { say } = require("sample"); answer((text = " x") => say(text));`;

export interface Story {
  readonly desk: Desk;
  readonly hotpatch: string;
  readonly folder: string;
  readonly application: Application;
}

/** A package of two files with a fix, signed, and a process that has loaded the old version. */
export async function begin(context: TestContext, options: readonly string[] = []): Promise<Story> {
  const desk = await openDesk(context);
  const [old, fixed] = [path.join(desk.folder, "old"), path.join(desk.folder, "fixed")];
  writePackage(old, before, { version: "1.0.0" });
  writePackage(fixed, after, { version: "1.0.1" });
  const hotpatch = path.join(desk.folder, "sample.hotpatch");
  const signing = options.includes("--unsigned") ? [] : ["--key", desk.key];
  const built = await desk.say("build", "npm", old, "--to", fixed, "-o", hotpatch, ...signing, ...options);
  assert.equal(built.code, 0, built.error);
  const folder = temporaryFolder(context);
  writePackage(path.join(folder, "node_modules", "sample"), before, { version: "1.0.0" });
  return { desk, hotpatch, folder, application: await startApplication(context, folder, program) };
}

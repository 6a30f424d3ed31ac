/** Which programs of Node.js are left alone, seen on processes that really run. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { isTool, mayLoad } from "../../src/engine/installed-packages.ts";
import { type ProcessInfo, readProcess } from "../../src/process/process.ts";
import { temporaryFolder } from "./node/application.ts";

/** A program of a package of that name, which gives itself a title. */
async function start(t: TestContext, name: string, title?: string): Promise<ProcessInfo> {
  const folder = path.join(temporaryFolder(t), name);
  mkdirSync(folder);
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name, version: "1.0.0" }));
  const titled = title === undefined ? "" : `process.title = ${JSON.stringify(title)};`;
  writeFileSync(path.join(folder, "main.cjs"), `${titled} process.on("message", () => {}); process.send("ready");`);
  const child = spawn(process.execPath, [path.join(folder, "main.cjs"), "with", "words"], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  t.after(async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
  await once(child, "message");
  const info = readProcess(child.pid as number);
  assert.ok(info);
  return info;
}

test("package managers are left alone, also under the title that npm gives itself; services are not", async (t) => {
  const rows: readonly [name: string, title: string | undefined, left: boolean][] = [
    ["npm", undefined, true],
    ["npm", "npm exec rebootless agent run", true],
    ["npm", "npm", true],
    ["service", undefined, false],
    ["service", "web worker 1", false],
    ["service", "npmish", false],
  ];
  for (const [name, title, left] of rows) {
    assert.equal(isTool(await start(t, name, title)), left, `${name} ${title}`);
  }
});

test("a package within reach is one that lies above the program, deeper in others, in pnpm's layout or in NODE_PATH", async (t) => {
  const wanted = { name: "vulnerable", version: "1.0.0" };
  const rows: readonly [where: string, version: string, found: boolean][] = [
    ["service/node_modules/vulnerable", "1.0.0", true],
    ["node_modules/alias", "1.0.0", true],
    ["service/node_modules/other/node_modules/vulnerable", "1.0.0", true],
    ["service/node_modules/.pnpm/vulnerable@1.0.0/node_modules/vulnerable", "1.0.0", true],
    ["elsewhere/node_modules/vulnerable", "1.0.0", false],
    ["service/node_modules/vulnerable", "1.0.1", false],
  ];
  for (const [where, version, found] of rows) {
    const info = await start(t, "service");
    const root = path.dirname(path.dirname(info.commandLine[1] as string));
    const folder = path.join(root, where);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: wanted.name, version }));
    assert.equal(mayLoad(info, wanted), found, `${where} ${version}`);
  }
});

test("where there is more than can be looked at, a process counts as one that may have the package", async (t) => {
  const info = await start(t, "service");
  const modules = path.join(path.dirname(info.commandLine[1] as string), "node_modules");
  for (let number = 0; number <= 20_000; number++) mkdirSync(path.join(modules, `p${number}`), { recursive: true });
  assert.equal(mayLoad(info, { name: "vulnerable", version: "1.0.0" }), true);
});

/**
 * The packages of the suites, installed once into `.cache/` of the checkout: one folder with the vulnerable versions, one with the fixed ones.
 *
 * Each package stands under the alias `x-<id>`, as in the corpus.
 * Tests that packages carry are laid out for both sides from the fixed version, since these are the tests that both must pass.
 */
import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { runToEnd } from "../corpus/npm/child-process.ts";
import { type SuiteCase, suiteCases } from "./suite-cases.ts";

export type Side = "vulnerable" | "fixed";
export type SuiteFolders = Readonly<Record<Side, string>>;

const cacheFolder = resolve(import.meta.dirname, "..", "..", ".cache", "suites-npm");
const installTimeoutMs = 600_000;
const sides: readonly Side[] = ["vulnerable", "fixed"];

/** What the packages' own tests are written for. */
const testRunners = { tape: "4.17.0", mocha: "10.8.2", chai: "4.5.0" };

/** Another number makes another installation, when something else than the packages changes. */
const layout = 2;

/** `require` and `import()` look from the file that calls them, so that one lies beside the packages. */
const loadPackage = `"use strict";
exports.load = async (name, esm) => (esm ? import(name) : require(name));
exports.requireHere = require;
`;

export async function installSuites(say: (line: string) => void): Promise<SuiteFolders> {
  const what = JSON.stringify([sides.map(dependencies), suiteCases.map(({ tests }) => tests), loadPackage, layout]);
  const folder = join(cacheFolder, createHash("sha256").update(what).digest("hex").slice(0, 16));
  if (!existsSync(folder)) await installInto(folder, say);
  return { vulnerable: join(folder, "vulnerable"), fixed: join(folder, "fixed") };
}

/** Installs beside and renames, so that a half-made folder is never taken for a whole one. */
async function installInto(folder: string, say: (line: string) => void): Promise<void> {
  const temporary = `${folder}.${process.pid}`;
  try {
    for (const side of sides) {
      say(`installing ${suiteCases.length} ${side} packages`);
      await installSide(side, join(temporary, side));
    }
    const keys = JSON.stringify(suiteKeys());
    for (const side of sides) {
      writeFileSync(join(temporary, side, "suite-keys.json"), keys);
      for (const one of suiteCases) layOutTests(one, temporary, side);
    }
    renameSync(temporary, folder);
  } catch (error) {
    // Another run may have been quicker, and what it installed is the same.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function dependencies(side: Side): Record<string, string> {
  const packages = suiteCases.map((one) => [`x-${one.id}`, `npm:${one.package}@${one[side]}`]);
  return { ...Object.fromEntries(packages), ...testRunners };
}

async function installSide(side: Side, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const manifest = { name: `suites-${side}`, private: true, dependencies: dependencies(side) };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(folder, "load-package.cjs"), loadPackage);
  // Packages that are vulnerable on purpose get no chance to run anything while they are installed.
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--legacy-peer-deps"];
  const ended = await runToEnd({
    command: "npm",
    args: ["install", "--prefix", folder, ...flags, "--loglevel=error"],
    cwd: folder,
    timeoutMs: installTimeoutMs,
  });
  if (ended.code === 0) return;
  const why = ended.timedOut ? `no end after ${installTimeoutMs / 1000} s` : ended.error.trim().slice(0, 2000);
  throw new Error(`npm could not install the ${side} packages of the suites: ${why}`);
}

/** Private and public halves by their kind, for suites that sign: made with the installation, so that all processes have the same. */
function suiteKeys(): Record<string, readonly [string, string]> {
  const pair = ({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): [string, string] => [
    String(privateKey.export({ type: "pkcs8", format: "pem" })),
    String(publicKey.export({ type: "spki", format: "pem" })),
  ];
  return {
    rsa: pair(generateKeyPairSync("rsa", { modulusLength: 2048 })),
    small: pair(generateKeyPairSync("rsa", { modulusLength: 1024 })),
    ec256: pair(generateKeyPairSync("ec", { namedCurve: "P-256" })),
    ec384: pair(generateKeyPairSync("ec", { namedCurve: "P-384" })),
    ec521: pair(generateKeyPairSync("ec", { namedCurve: "P-521" })),
    ed25519: pair(generateKeyPairSync("ed25519")),
  };
}

/** The tests load the main file beside them, and that one hands out the package as it is loaded. */
function layOutTests({ id, tests }: SuiteCase, root: string, side: Side): void {
  if (tests === undefined) return;
  const place = join(root, side, "package-tests", id);
  mkdirSync(place, { recursive: true });
  cpSync(join(root, "fixed", "node_modules", `x-${id}`, tests.path), join(place, tests.path), { recursive: true });
  writeFileSync(join(place, tests.main), `"use strict";\nmodule.exports = require("x-${id}");\n`);
}

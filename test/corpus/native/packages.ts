/** Debian packages that the corpus needs: installed when we are root, named with the command that installs them when we are not. */
import { mustRun, runCommand } from "../../../src/build/elf/run-command.ts";

/** What fetches, builds and strips the sources of every case; a case that needs more gets the build dependencies of its package. */
export const buildTools = [
  "autoconf",
  "automake",
  "binutils",
  "bison",
  "cmake",
  "dpkg-dev",
  "flex",
  "g++",
  "gcc",
  "libc6-dev",
  "libtool",
  "make",
  "patch",
  "pkg-config",
  "zlib1g-dev",
] as const;

type Say = (message: string) => void;

const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
const here = { cwd: "/", env: environment };
/** Another apt may be at work: wait for its lock rather than fail. */
const patience = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2"];

/** A failure counts only where the lists are needed. */
async function updateLists(say: Say): Promise<void> {
  say("apt-get update");
  const { code } = await runCommand(["apt-get", ...patience, "update"], here);
  if (code !== 0) say("apt-get update failed; going on with the package lists that are there");
}

async function hasLists(): Promise<boolean> {
  const words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
  const { code, output } = await runCommand(words, here);
  return code === 0 && output.trim() !== "";
}

/** Throws with the command to run where something is missing and may not be installed by us. */
export async function installBuildTools(say: Say): Promise<void> {
  const missing: string[] = [];
  for (const name of buildTools) {
    const { code, output } = await runCommand(["dpkg-query", "-W", "-f", `\${db:Status-Status}`, name], here).catch(
      () => ({ code: 1, output: "" }),
    );
    if (code !== 0 || output.trim() !== "installed") missing.push(name);
  }
  if (process.getuid?.() !== 0) {
    if (missing.length > 0)
      throw new Error(
        `the corpus needs packages that only root may install: sudo apt-get install ${missing.join(" ")}`,
      );
    return;
  }
  if (missing.length === 0 && (await hasLists())) return;
  await updateLists(say);
  if (missing.length === 0) return;
  say(`installing ${missing.join(", ")}`);
  const words = ["apt-get", ...patience, "install", "-y", "--no-install-recommends", ...missing];
  await mustRun("Installing what builds the sources", words, here);
}

/** Debian packages that tests need: installed when we are root, named with the tests that go without them when we are not. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runLongCommand } from "./long-command.mjs";
import { checkoutRoot } from "./pinned-node.mjs";

function installed(name) {
  const answer = spawnSync("dpkg-query", ["-W", "-f", "${db:Status-Status}", name], { encoding: "utf8" });
  return answer.status === 0 && answer.stdout === "installed";
}

/** Answers the exit code and the output of apt-get; asks nothing. */
export function apt(args, say) {
  // Another apt may be at work: wait for its lock rather than fail.
  const withLock = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2", ...args];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return runLongCommand({ command: "apt-get", args: withLock, env, what: `apt-get ${args[0]}`, say });
}

function tellSkipped(missing, reason, say) {
  for (const { name, neededBy } of missing)
    say(`${neededBy} will skip what needs ${name}, which is not installed (${reason})`);
}

/** Never fails: the tests run without what could not be installed, and say which of them were skipped. */
export async function installDebianPackages({ say }) {
  const wanted = JSON.parse(readFileSync(join(checkoutRoot, "scripts", "debian-packages.json"), "utf8"));
  const missing = wanted.filter(({ name }) => !installed(name));
  if (missing.length === 0) return;
  if (process.getuid() !== 0) return tellSkipped(missing, "only root may install it", say);
  if (spawnSync("apt-get", ["--version"]).status !== 0) return tellSkipped(missing, "this is not a Debian system", say);
  const names = missing.map(({ name }) => name);
  say(`installing ${names.join(", ")} with apt-get`);
  const update = await apt(["update"], say);
  if (update.code !== 0) say("apt-get update failed; trying with the package lists that are there");
  const install = await apt(["install", "-y", "--no-install-recommends", ...names], say);
  if (install.code === 0) return say(`installed ${names.join(", ")} (${update.seconds + install.seconds} s)`);
  say(`apt-get install failed:\n${install.output}`);
  tellSkipped(
    missing.filter(({ name }) => !installed(name)),
    "apt-get failed",
    say,
  );
}

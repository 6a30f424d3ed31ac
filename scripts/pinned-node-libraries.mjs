/** Libraries of the system that the pinned Node is linked with, and that a bare Debian may lack. */
import { spawnSync } from "node:child_process";
import { apt } from "./debian-packages.mjs";
import { pinnedNodePath } from "./pinned-node.mjs";

const packages = { "libatomic.so.1": "libatomic1", "libstdc++.so.6": "libstdc++6" };

/** The library without which the pinned Node cannot start, as the dynamic linker says it (ld.so(8)). */
function missingLibrary(root) {
  const { stderr } = spawnSync(pinnedNodePath(root), ["--version"], { encoding: "utf8" });
  return /error while loading shared libraries: (\S+):/.exec(stderr ?? "")?.[1];
}

/** Installs what is missing where we may; answers what is in the way otherwise, with what to do. */
export async function provideLibraries(root, say) {
  let missing = missingLibrary(root);
  const names = new Set();
  while (missing !== undefined) {
    const name = packages[missing];
    const advice = `the pinned Node cannot start without ${missing}; install it${name === undefined ? "" : ` (as root: apt-get install ${name})`}`;
    const mayInstall = process.getuid() === 0 && spawnSync("apt-get", ["--version"]).status === 0;
    if (name === undefined || names.has(name) || !mayInstall) return advice;
    names.add(name);
    say(`installing ${name} with apt-get, which the pinned Node needs`);
    const update = await apt(["update"], say);
    if (update.code !== 0) say("apt-get update failed; trying with the package lists that are there");
    const install = await apt(["install", "-y", "--no-install-recommends", name], say);
    if (install.code !== 0) say(`apt-get install failed:\n${install.output}`);
    missing = missingLibrary(root);
  }
  return undefined;
}

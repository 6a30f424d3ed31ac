/**
 * Set-up: makes node_modules hold exactly what package-lock.json says, and the pinned Node with it.
 *
 * Plain JavaScript without dependencies for any Node from version 20 on.
 * Several set-ups in one checkout at the same time wait for each other; one that finds everything in place writes nothing.
 */
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLockFile } from "./lock-file.mjs";
import { runLongCommand } from "./long-command.mjs";
import { checkoutRoot, pinnedNodeInstalled } from "./pinned-node.mjs";
import { provideLibraries } from "./pinned-node-libraries.mjs";

const oldestNodeMajor = 20;

/** Something in the way of the set-up; its message says what to do. */
export class SetupError extends Error {
  name = "SetupError";
}

/** The reason why this machine cannot be used, or undefined. */
export function unsupported({ platform, arch, version }) {
  if (platform !== "linux" || arch !== "x64") {
    return `rebootless runs on Linux on x86-64, and this is ${platform} on ${arch}; use a Linux x86-64 machine, container or virtual machine`;
  }
  const major = Number(version.replace(/^v/, "").split(".")[0]);
  if (major < oldestNodeMajor) {
    return `the set-up needs Node ${oldestNodeMajor} or later, and this is ${version}; install a newer Node (everything else runs on a pinned Node of its own)`;
  }
  return undefined;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Why node_modules is not what package-lock.json says, or undefined where it is.
 *
 * The stamp is npm's own: node_modules/.package-lock.json, which npm writes as its last step, and which lists what it installed.
 */
export function staleReason(root) {
  const wanted = readPackages(join(root, "package-lock.json"));
  if (wanted === undefined)
    throw new SetupError("package-lock.json is missing or unreadable; restore it from the repository");
  const present = readPackages(join(root, "node_modules", ".package-lock.json"));
  if (present === undefined) return "dependencies are not installed";
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = present[path];
    // Optional packages are those of other platforms, which npm leaves out.
    if (found === undefined && entry.optional === true) continue;
    if (found === undefined) return `${path} is not installed`;
    if (found.version !== entry.version || found.integrity !== entry.integrity)
      return `${path} is not at ${entry.version}`;
  }
  for (const path of Object.keys(present)) {
    if (wanted[path] === undefined) return `${path} is no longer wanted`;
  }
  if (!pinnedNodeInstalled(root)) return "the pinned Node is missing";
  return undefined;
}

/** npm as the program that started us, or as the path finds it. */
function npmCommand(env) {
  const script = env.npm_execpath;
  if (script !== undefined && /npm-cli\.[cm]?js$/.test(script)) return { command: process.execPath, args: [script] };
  return { command: "npm", args: [] };
}

async function install(root, reason, say) {
  say(`${reason}: running npm ci (about 790 MB on disk)`);
  const npm = npmCommand(process.env);
  // The types and the linter are needed as well, whatever NODE_ENV says; what is needed ships its binaries, and runs nothing when it is installed.
  const args = [
    ...npm.args,
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--include=dev",
    "--include=optional",
  ];
  let result;
  try {
    result = await runLongCommand({ command: npm.command, args, cwd: root, env: process.env, what: "npm ci", say });
  } catch (error) {
    throw new SetupError(`npm could not be started (${error.message}); install npm, or put it on the PATH`, {
      cause: error,
    });
  }
  if (result.code !== 0) {
    throw new SetupError(
      `npm ci failed with ${result.signal ?? `exit code ${result.code}`} after ${result.seconds} s. It said:\n\n${result.output}\n\n` +
        "Check that the registry can be reached (npm ping), that this folder is yours to write, and that the disk has room; " +
        "then run `npm ci` by hand, or the same command again.",
    );
  }
  const left = staleReason(root);
  if (left !== undefined) throw new SetupError(`npm ci ended well, and yet ${left}; remove node_modules and try again`);
  say(`dependencies are installed (${result.seconds} s)`);
}

/** Makes the checkout ready; throws `SetupError` with a message for the user. `say` gets each line of progress. */
export async function setUp({ root = checkoutRoot, say = (line) => console.error(`set-up: ${line}`) } = {}) {
  const reason = unsupported(process);
  if (reason !== undefined) throw new SetupError(reason);
  if (staleReason(root) !== undefined) await installLocked(root, say);
  const obstacle = await provideLibraries(root, say);
  if (obstacle !== undefined) throw new SetupError(obstacle);
}

async function installLocked(root, say) {
  const lockPath = join(root, ".cache", "setup.lock");
  const onWait = (pid) => say(`waiting for the set-up that process ${pid} runs`);
  try {
    await withLockFile(lockPath, { onWait }, async () => {
      const stale = staleReason(root);
      if (stale !== undefined) await install(root, stale, say);
    });
  } catch (error) {
    if (error.code !== "EACCES" && error.code !== "EROFS" && error.code !== "EPERM") throw error;
    throw new SetupError(`this user may not write in ${root} (${error.code}); run \`npm ci\` there as its owner once`, {
      cause: error,
    });
  }
}

/** For scripts: the set-up, or one message and exit code 1. */
export async function setUpOrExit() {
  try {
    await setUp();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`set-up: ${error.message}`);
    process.exit(1);
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await setUpOrExit();
  console.error("set-up: everything is in place");
}

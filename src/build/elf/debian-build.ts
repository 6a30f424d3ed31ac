/**
 * Building a Debian source package as Debian does, up to where its programs are linked.
 *
 * The package's own debian/rules says how, in the environment that dpkg-buildpackage makes (Debian policy 4.9); tests, documentation and foreign architectures are left out, since they change no code (BuildProfileSpec; policy 4.9.1).
 */
import { availableParallelism } from "node:os";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import type { UnpackedSource } from "./debian-apt.ts";
import { type CommandOptions, mustRun, runCommand } from "./run-command.ts";

const profiles = "nocheck nodoc nobiarch";

/** What builds the architecture-dependent part; dependencies were looked at before. */
export const debianBuildCommand: readonly string[] = "dpkg-buildpackage -d -us -uc --rules-target=build-arch".split(
  " ",
);

/** Compilers put the date of the package's last change where a date is compiled in, as reproducible builds do. */
export async function debianEnvironment({ tree }: UnpackedSource, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const words = ["dpkg-parsechangelog", "-STimestamp"];
  const epoch = (await mustRun("Reading the package's changelog", words, { cwd: tree, env })).trim();
  const { DEB_BUILD_OPTIONS: own = "" } = env;
  return {
    ...env,
    DEB_BUILD_OPTIONS: `nocheck nodoc parallel=${availableParallelism()}${own === "" ? "" : ` ${own}`}`,
    DEB_BUILD_PROFILES: profiles,
    SOURCE_DATE_EPOCH: epoch,
    DEBIAN_FRONTEND: "noninteractive",
  };
}

export interface DependencyOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Installs what is missing, as root; otherwise what is missing is a refusal. */
  readonly install: boolean;
  progress(message: string): void;
}

/** What unpacks, changes and builds a source package, and the packages that bring it. */
const tools = ["dpkg-source", "dpkg-buildpackage", "patch"];
const toolPackages = ["build-essential", "patch"];

/** Refuses with `build/dependencies-missing` and the command that would install them. */
export async function buildTools({ env, install, progress }: DependencyOptions): Promise<void> {
  const missing: string[] = [];
  for (const tool of tools) {
    const { code } = await runCommand(["sh", "-c", `command -v ${tool}`], { cwd: "/", env });
    if (code !== 0) missing.push(tool);
  }
  if (missing.length === 0) return;
  const command = `apt-get install ${toolPackages.join(" ")}`;
  if (!install || process.getuid?.() !== 0)
    refuse(
      "build/dependencies-missing",
      `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} needed to unpack and build source packages. As root: ${command}${install ? "" : "; or build with --install-build-deps"}.`,
      { missing, command },
    );
  progress(`Installing ${toolPackages.join(" and ")}`);
  await aptInstall(["install", "-y", "--no-install-recommends", ...toolPackages], { cwd: "/", env: quiet(env) });
}

/** apt in English, asking nothing. */
function quiet(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
}

/** Waits for another apt; fetches the lists of packages where it does not go without: old ones, or none, are the usual reason. */
async function aptInstall(words: readonly string[], options: CommandOptions): Promise<void> {
  const apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2"];
  const first = await runCommand([...apt, ...words], options);
  if (first.code === 0) return;
  await mustRun("apt-get update", [...apt, "update"], options);
  await mustRun(`apt-get ${words[0]}`, [...apt, ...words], options);
}

/** Answers what was missing and is there now. Refuses with `build/dependencies-missing` and the command that would install them. */
export async function buildDependencies(
  source: UnpackedSource,
  { env, install, progress }: DependencyOptions,
): Promise<readonly string[]> {
  const inTree = { cwd: source.tree, env: quiet(env) };
  const missing = await missingDependencies(inTree);
  if (missing.length === 0) return [];
  const command = `apt-get install ${missing.map(installable).join(" ")}`;
  if (!install || process.getuid?.() !== 0)
    refuse(
      "build/dependencies-missing",
      `Building this package needs ${missing.join(", ")}. As root: ${command}${install ? "" : "; or build with --install-build-deps"}.`,
      { missing, command },
    );
  progress(`Installing what the build needs: ${missing.join(", ")}`);
  const choice = ["--no-install-recommends", "--build-profiles", profiles.replaceAll(" ", ","), "--arch-only"];
  await aptInstall(["build-dep", "-y", ...choice, source.description], inTree);
  const left = await missingDependencies(inTree);
  if (left.length > 0) throw new RebootlessError("failure/command", `${left.join(", ")} could not be installed.`);
  return missing;
}

async function missingDependencies(inTree: { cwd: string; env: NodeJS.ProcessEnv }): Promise<string[]> {
  const words = ["dpkg-checkbuilddeps", "-B", "-P", profiles.replaceAll(" ", ",")];
  const { code, output } = await runCommand(words, inTree);
  if (code === 0) return [];
  const [, unmet] = /[Uu]nmet build dependencies: (.*)/.exec(output) ?? [];
  if (unmet === undefined)
    throw new RebootlessError(
      "failure/command",
      `dpkg-checkbuilddeps failed with exit code ${code}: ${output.trim().slice(-500)}`,
    );
  return unmet.match(/[^\s|(]+(?: \([^)]*\))?(?: \| [^\s|(]+(?: \([^)]*\))?)*/g) ?? [];
}

/** The first alternative, without the bound of its version. */
function installable(dependency: string): string {
  return dependency.replace(/ .*/, "");
}

/**
 * `build npm` and `build files`: from a fix to a signed hotpatch.
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { type BuildOptions, buildFilesHotpatch, buildNpmHotpatch } from "../../build/hotpatch-build.ts";
import { encodeHotpatch } from "../../hotpatch/container.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { writeHotpatchFile } from "../../hotpatch/hotpatch-file.ts";
import { loadSigner } from "../../hotpatch/key.ts";
import { type Advisory, nodeChangeOf } from "../../hotpatch/manifest.ts";
import { openHotpatch } from "../../hotpatch/open-hotpatch.ts";
import type { Signer, TrustStore } from "../../hotpatch/signature.ts";
import { defaultSigningKey } from "../../hotpatch/trust-store.ts";
import type { CommandInput, CommandIo, CommandOption, CommandResult, CommandSpec } from "../command.ts";
import { passphraseFileOption, passphraseOf } from "./key.ts";

/** Structure alone is checked here; whom to trust is the reader's matter. */
export const nobodyTrusted: TrustStore = { directory: "", keys: new Map() };

export const commonBuildOptions: readonly CommandOption[] = [
  { flags: "-o, --output <file>", description: "the hotpatch to write" },
  { flags: "--key <file>", description: "the private key to sign with (default: the one that key generate makes)" },
  passphraseFileOption,
  { flags: "--unsigned", description: "leave it unsigned; only --allow-unsigned will take it" },
  {
    flags: "--advisory <id>",
    description: "a CVE that it closes, with its severity if known, such as CVE-2021-23337:high",
    repeatable: true,
  },
  { flags: "--sequence <number>", description: "the higher one replaces the lower ones", default: "1" },
];

const buildNpm: CommandSpec = {
  name: "build npm",
  summary: "build a hotpatch from two versions of an npm package",
  description:
    "Compares the two versions, chooses for each change the way that works in a process that has loaded the old one, and rehearses it.\nWhat cannot be reached is refused by name; nothing is built that would only seem to work.",
  arguments: [{ name: "<package>", description: "the vulnerable version: name@version, or a folder" }],
  options: [{ flags: "--to <version>", description: "the fixed version, or a folder" }, ...commonBuildOptions],
  examples: [
    { command: "rebootless build npm lodash@4.17.20 --to 4.17.21 -o lodash.hotpatch", what: "from the registry" },
    { command: "rebootless build npm ./ours-1.0 --to ./ours-1.1 -o ours.hotpatch", what: "from two folders" },
  ],
  async run(input, io) {
    const fixed = input.options.to;
    if (typeof fixed !== "string")
      throw new RebootlessError("usage/arguments", "Say which version has the fix: --to VERSION or --to FOLDER.");
    const output = outputFile(input, io);
    const options = buildOptions(input, io);
    const signers = await signersOf(input, io);
    const hotpatch = await buildNpmHotpatch({ vulnerable: input.arguments[0] as string, fixed }, options);
    return await finish(hotpatch, output, signers);
  },
};

const buildFiles: CommandSpec = {
  name: "build files",
  summary: "build a hotpatch from changed files of a program of your own",
  arguments: [
    { name: "<before>", description: "the file or folder as the process has loaded it" },
    { name: "<after>", description: "the same with the fix" },
  ],
  options: commonBuildOptions,
  examples: [{ command: "rebootless build files server.js server.fixed.js -o server.hotpatch", what: "one file" }],
  async run(input, io) {
    const output = outputFile(input, io);
    const [before, after] = input.arguments as [string, string];
    const signers = await signersOf(input, io);
    return await finish(buildFilesHotpatch(before, after, buildOptions(input, io)), output, signers);
  },
};

export const buildCommands: readonly CommandSpec[] = [buildNpm, buildFiles];

/** Where the hotpatch goes. Throws `usage/arguments` or `input/file-missing`. */
export function outputFile(input: CommandInput, io: CommandIo): string {
  const output = input.options.output;
  if (typeof output !== "string")
    throw new RebootlessError("usage/arguments", "Say where to write the hotpatch: -o FILE.");
  const file = resolve(io.cwd, output);
  if (!existsSync(dirname(file)))
    throw new RebootlessError("input/file-missing", `There is no folder ${dirname(file)} to write the hotpatch to.`);
  return file;
}

/** What every kind of build is told. Throws `usage/arguments`. */
export function buildOptions(input: CommandInput, io: CommandIo): BuildOptions {
  const sequence = Number(input.options.sequence ?? 1);
  if (!Number.isInteger(sequence) || sequence < 1)
    throw new RebootlessError("usage/arguments", "--sequence takes a whole number of at least 1.");
  const advisories = ((input.options.advisory as readonly string[] | undefined) ?? []).map(parseAdvisory);
  return { cwd: io.cwd, advisories, sequence, nodePath: process.execPath, progress: io.progress };
}

function parseAdvisory(text: string): Advisory {
  const match = /^([0-9A-Za-z-]{1,64})(?::(low|moderate|high|critical))?$/.exec(text);
  if (match === null)
    throw new RebootlessError(
      "usage/arguments",
      `${JSON.stringify(text)} is not an advisory; write it like CVE-2021-23337 or CVE-2021-23337:high.`,
    );
  const [, id, severity] = match;
  return {
    id: id as string,
    ...(severity === undefined ? {} : { severity: severity as NonNullable<Advisory["severity"]> }),
  };
}

/** Asked for before anything is built, since building takes a while. */
export async function signersOf(input: CommandInput, io: CommandIo): Promise<Signer[]> {
  if (input.options.unsigned === true) {
    io.warn("The hotpatch is left unsigned: no process takes it without --allow-unsigned.");
    return [];
  }
  const key = input.options.key;
  const file = typeof key === "string" ? resolve(io.cwd, key) : defaultSigningKey(io.env);
  if (typeof key !== "string" && !existsSync(file)) {
    throw new RebootlessError(
      "input/file-missing",
      `There is no signing key at ${file}; make one with "rebootless key generate", name one with --key, or build with --unsigned.`,
    );
  }
  return [await loadSigner(file, await passphraseOf(input, io))];
}

/** Writes the file, opened as any reader would before, so that nothing is written that would be refused later. */
export async function writeBuilt(
  hotpatch: Hotpatch,
  output: string,
  signers: readonly Signer[],
): Promise<{ bytes: Uint8Array; digest: string; claimedBy: readonly string[] }> {
  const bytes = encodeHotpatch(hotpatch, signers);
  const { digest, claimedBy } = openHotpatch(bytes, nobodyTrusted, { allowUnsigned: true });
  await writeHotpatchFile(output, bytes);
  return { bytes, digest, claimedBy };
}

async function finish(hotpatch: Hotpatch, output: string, signers: readonly Signer[]): Promise<CommandResult> {
  const { id } = hotpatch.manifest;
  const { bytes, digest, claimedBy } = await writeBuilt(hotpatch, output, signers);
  const node = nodeChangeOf(hotpatch.manifest);
  const files = node.files.map(({ path, functions, unreachable }) => ({
    path,
    functions: functions.map(({ name }) => name),
    unreachable,
  }));
  const data = {
    file: output,
    id,
    digest,
    sizeBytes: bytes.length,
    signedBy: claimedBy,
    files,
    added: node.added.map(({ path }) => path),
  };
  const lines = files.map(({ path, functions, unreachable }) => {
    const what =
      functions.length > 0
        ? functions.slice(0, 8).join(", ") + (functions.length > 8 ? ` and ${functions.length - 8} more` : "")
        : "no function";
    return `  ${path}: ${what}${unreachable.length > 0 ? ` (${unreachable.length} change${unreachable.length === 1 ? "" : "s"} only for processes that load it later)` : ""}`;
  });
  return { data, text: [`${id} written to ${output} (${bytes.length} bytes)`, ...lines].join("\n") };
}

/**
 * `build elf`: from a fix of a C or C++ program to a signed hotpatch.
 */
import { resolve } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import { buildDebianHotpatch, type DebianBuildInput } from "../../build/elf/debian-hotpatch.ts";
import { buildElfHotpatch, type ElfBuildInput, type ElfBuildReport } from "../../build/elf/elf-hotpatch.ts";
import type { ElfAction } from "../../hotpatch/elf-manifest.ts";
import { readHotpatchFile } from "../../hotpatch/hotpatch-file.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";
import { openHotpatch } from "../../hotpatch/open-hotpatch.ts";
import type { CommandInput, CommandIo, CommandSpec } from "../command.ts";
import { text, texts } from "../option-values.ts";
import { buildOptions, commonBuildOptions, nobodyTrusted, outputFile, signersOf, writeBuilt } from "./build.ts";

export const buildElfCommand: CommandSpec = {
  name: "build elf",
  summary: "build a hotpatch for a C or C++ program or library from a diff or a fixed source tree",
  description:
    "Builds a copy of the source twice, compares what the compiler made of it function by function, and finds the old functions in the binary that runs, which may be stripped.\nNothing of the source tree is written. What a running process could not get is refused by name.",
  arguments: [{ name: "[command...]", description: "behind --: what builds the source, such as make -j2" }],
  options: [
    { flags: "--source <folder>", description: "the source as it was built" },
    {
      flags: "--deb <package>",
      description:
        "instead of a folder, the source of an installed Debian package (or of package=version), built as Debian builds it",
    },
    {
      flags: "--to-version <version>",
      description: "with --deb: the version of the source that has the fix, instead of a diff",
    },
    { flags: "--install-build-deps", description: "with --deb, as root: install what the build needs" },
    { flags: "--patch <file>", description: "the fix as a unified diff" },
    { flags: "--to <folder>", description: "the source with the fix, instead of a diff" },
    { flags: "--prepare <command>", description: "a shell command to run once before, such as ./configure" },
    {
      flags: "--binary <file>",
      description: "a binary that runs; may be stripped (default: what the package installed, or the build links)",
      repeatable: true,
    },
    {
      flags: "--short-lived <struct>",
      description: "a struct whose layout changes, and whose objects live no longer than a call: you vouch for it",
      repeatable: true,
    },
    {
      flags: "--hooks <file>",
      description: "C or C++ with functions that run when the hotpatch is applied or reverted (docs/native-hooks.md)",
      repeatable: true,
    },
    {
      flags: "--hook-handles <what>",
      description: "struct:NAME or data:NAME, a change that the hooks take care of: you vouch for it",
      repeatable: true,
    },
    { flags: "--package-version <version>", description: "the version of the package, for people" },
    {
      flags: "--after-apply <note>",
      description: "what has to be done once the code is in place: a sentence, or signal:SIGHUP",
      repeatable: true,
    },
    {
      flags: "--supersedes <hotpatch>",
      description: "the id or the file of a hotpatch whose place this one takes, in one step",
      repeatable: true,
    },
    ...commonBuildOptions,
  ],
  examples: [
    {
      command: "rebootless build elf --deb expat --patch fix.diff -o expat.hotpatch",
      what: "for the installed version of a Debian package",
    },
    {
      command:
        "rebootless build elf --source redis --patch fix.diff --binary /usr/bin/redis-server -o redis.hotpatch -- make -j2",
      what: "from a diff",
    },
    {
      command: 'rebootless build elf --source old --to new --prepare "./configure" -o lib.hotpatch -- make',
      what: "from two source trees",
    },
  ],
  async run(input, io) {
    const request = readRequest(input);
    const output = outputFile(input, io);
    const common = buildOptions(input, io);
    const afterApply = texts(input, "afterApply").map(action);
    const signers = await signersOf(input, io);
    const version = text(input, "packageVersion");
    const supersedes = await Promise.all(texts(input, "supersedes").map((given) => hotpatchId(given, io)));
    const options = {
      ...common,
      env: io.env,
      afterApply,
      supersedes: [...new Set(supersedes)].sort(),
      ...(version === undefined ? {} : { version }),
    };
    const { hotpatch, report } = await ("package" in request
      ? buildDebianHotpatch(request, options)
      : buildElfHotpatch(request, options));
    const { bytes, digest, claimedBy } = await writeBuilt(hotpatch, output, signers);
    const { id } = hotpatch.manifest;
    const { notices } = elfChangeOf(hotpatch.manifest);
    const data = { file: output, id, digest, sizeBytes: bytes.length, signedBy: claimedBy, ...report, notices };
    return {
      data,
      text: [
        `${id} written to ${output} (${bytes.length} bytes)`,
        ...reportLines(report),
        ...notices.map((notice) => `  Note: ${printable(notice)}`),
      ].join("\n"),
    };
  },
};

function readRequest(input: CommandInput): ElfBuildInput | DebianBuildInput {
  const source = text(input, "source");
  const name = text(input, "deb");
  const patch = text(input, "patch");
  const to = text(input, "to");
  const toVersion = text(input, "toVersion");
  const prepare = text(input, "prepare");
  const install = input.options.installBuildDeps === true;
  if ((source === undefined) === (name === undefined))
    throw new RebootlessError(
      "usage/arguments",
      "Name either the folder of the source with --source, or a Debian package with --deb.",
    );
  const fixed = name === undefined ? to : toVersion;
  if ((patch === undefined) === (fixed === undefined))
    throw new RebootlessError(
      "usage/arguments",
      `Name the fix with either --patch or ${name === undefined ? "--to" : "--to-version"}.`,
    );
  const common = {
    binaries: texts(input, "binary"),
    shortLived: texts(input, "shortLived"),
    hooks: texts(input, "hooks"),
    handled: texts(input, "hookHandles").map(handledChange),
  };
  if (source !== undefined) {
    if (toVersion !== undefined || install)
      throw new RebootlessError("usage/arguments", "--to-version and --install-build-deps go with --deb.");
    const fix = { ...(patch === undefined ? {} : { patch }), ...(to === undefined ? {} : { to }) };
    return { ...common, source, fix, command: commandOf(input), ...(prepare === undefined ? {} : { prepare }) };
  }
  if (to !== undefined || prepare !== undefined)
    throw new RebootlessError("usage/arguments", "--to and --prepare go with --source.");
  return {
    ...common,
    package: name ?? "",
    ...(patch === undefined ? {} : { patch }),
    ...(toVersion === undefined ? {} : { toVersion }),
    installBuildDependencies: install,
    ...(input.arguments.length === 0 ? {} : { command: input.arguments }),
  };
}

function commandOf(input: CommandInput): readonly string[] {
  if (input.arguments.length === 0)
    throw new RebootlessError("usage/arguments", "Say behind -- how the source is built, such as: -- make");
  return input.arguments;
}

/** An id as it is, or that of a hotpatch's file. */
async function hotpatchId(given: string, { cwd }: CommandIo): Promise<string> {
  if (!given.endsWith(".hotpatch")) return given;
  const bytes = await readHotpatchFile(resolve(cwd, given));
  return openHotpatch(bytes, nobodyTrusted, { allowUnsigned: true }).hotpatch.manifest.id;
}

function handledChange(given: string): string {
  if (/^(struct|data):./.test(given)) return given;
  throw new RebootlessError(
    "usage/arguments",
    `--hook-handles takes struct:NAME or data:NAME, not ${JSON.stringify(given)}.`,
  );
}

function action(given: string): ElfAction {
  const [, signal] = /^signal:(SIG[A-Z0-9]{1,12})$/.exec(given) ?? [];
  return signal === undefined ? { kind: "note", text: given } : { kind: "signal", signal };
}

function reportLines({ binaries }: ElfBuildReport): string[] {
  return binaries.flatMap(({ name, path, code, newVariables }) => [
    `  ${printable(name)} (${printable(path)}):`,
    ...code.map(
      (one) =>
        `    ${one.isNew ? "new" : "changed"} ${printable(one.name)} (${printable(one.source)}${one.isNew ? "" : `: ${printable(one.reason)}`})`,
    ),
    ...newVariables.map((one) => `    new variable ${printable(one.name)} (${one.size} bytes)`),
  ]);
}

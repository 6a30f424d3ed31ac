/**
 * `rebootless inspect FILE`: what a hotpatch changes, for whom, and who signed it.
 *
 * Shows a file that nobody vouches for as well, and says so first; one that was altered is refused.
 * Every string of the file is printed escaped, since it may be hostile.
 */
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import type { Manifest, NodeChange, NodeFile, Target } from "../../hotpatch/manifest.ts";
import type { OpenedHotpatch } from "../../hotpatch/open-hotpatch.ts";
import type { TrustStore } from "../../hotpatch/signature.ts";
import type { CommandSpec } from "../command.ts";
import { elfInspectionData, elfInspectionText } from "./inspect-elf.ts";
import { trustDirectoryOption } from "./key.ts";
import { openWithTrust } from "./open-file.ts";

/** More names than this are counted rather than shown; --json gives them all. */
const shownNames = 30;

export const inspectCommand: CommandSpec = {
  name: "inspect",
  summary: "show what a hotpatch changes, for whom, and who signed it",
  description:
    "Nothing is applied. A hotpatch that no trusted key has signed is shown with a warning; one that was altered is refused.",
  arguments: [{ name: "<file>", description: "a .hotpatch file" }],
  options: [trustDirectoryOption],
  examples: [
    { command: "rebootless inspect lodash.hotpatch", what: "read it before it is applied" },
    { command: "rebootless inspect lodash.hotpatch --json", what: "the same for a program" },
  ],
  async run(input, io) {
    const [file] = input.arguments;
    if (file === undefined) {
      throw new RebootlessError("usage/arguments", "Name the .hotpatch file to inspect.");
    }
    const given = input.options.trustDir;
    const options = { trustDirectory: typeof given === "string" ? given : undefined, allowUnsigned: true };
    const { opened, trust } = await openWithTrust(file, options, io);
    if (opened.untrusted !== undefined) {
      io.warn(`NOT TRUSTED. ${opened.untrusted.message} What follows is only what the file says of itself.`);
    }
    return { data: inspectionData(opened, trust), text: inspectionText(opened, trust) };
  },
};

function inspectionData(opened: OpenedHotpatch, trust: TrustStore): unknown {
  const { manifest } = opened.hotpatch;
  return {
    id: manifest.id,
    sequence: manifest.sequence,
    title: manifest.title,
    description: manifest.description ?? null,
    target: manifest.target,
    requirements: manifest.requirements,
    advisories: manifest.advisories,
    supersedes: manifest.supersedes,
    signatures: {
      trusted: opened.trusted,
      signedBy: opened.signedBy.map((keyId) => ({ keyId, name: trust.keys.get(keyId)?.name ?? null })),
      claimedBy: opened.claimedBy,
      untrusted: opened.untrusted ?? null,
      trustDirectory: trust.directory,
    },
    digest: opened.digest,
    file: { sha256: opened.fileDigest, sizeBytes: opened.fileSizeBytes },
    files: (manifest.node?.files ?? []).map((file) => ({
      path: file.path,
      format: file.format,
      before: file.before,
      liveEdit: file.live !== undefined,
      setsValues: file.delta !== undefined,
      functions: functionNames(file),
      imports: file.delta?.imports ?? [],
      unreachable: file.unreachable,
    })),
    added: (manifest.node?.added ?? []).map((file) => ({
      path: file.path,
      sizeBytes: opened.hotpatch.payloads.get(file.text)?.length ?? 0,
    })),
    elf: manifest.elf === undefined ? null : elfInspectionData(opened.hotpatch),
    payloads: manifest.payloads,
  };
}

function inspectionText(opened: OpenedHotpatch, trust: TrustStore): string {
  const { manifest } = opened.hotpatch;
  const payloadBytes = manifest.payloads.reduce((sum, payload) => sum + payload.sizeBytes, 0);
  const rows: [string, string][] = [
    ["For", describeTarget(manifest.target)],
    ...(manifest.requirements.node === undefined
      ? []
      : [["Needs", `Node.js ${printable(manifest.requirements.node)}`] as [string, string]]),
    ...describeAdvisories(manifest),
    ...(manifest.supersedes.length === 0 ? [] : [["Supersedes", someOf(manifest.supersedes)] as [string, string]]),
    ...describeSigners(opened, trust),
    ["Digest", `sha256:${opened.digest}`],
    [
      "File",
      `${bytesText(opened.fileSizeBytes)}, ${count(manifest.payloads.length, "payload")} of ${bytesText(payloadBytes)}, sha256:${opened.fileDigest}`,
    ],
  ];
  return [
    ...(opened.trusted ? [] : ["NOT TRUSTED: nobody known here vouches for what follows.", ""]),
    `${printable(manifest.id)} (sequence ${manifest.sequence})`,
    printable(manifest.title),
    ...describeDescription(manifest),
    "",
    ...rows.map(([label, value]) => `${label.padEnd(12)}${value}`),
    "",
    ...describeChange(opened),
  ].join("\n");
}

function describeTarget(target: Target): string {
  if (target.kind === "npm") {
    return `npm package ${printable(target.name)} ${printable(target.version)}, made to behave as ${printable(target.fixedVersion)}`;
  }
  if (target.kind === "elf") {
    const version = target.version === undefined ? "" : ` ${printable(target.version)}`;
    return `native program or library ${printable(target.name)}${version}, recognised by build-id`;
  }
  return `files of ${printable(target.name)}`;
}

function describeAdvisories(manifest: Manifest): [string, string][] {
  if (manifest.advisories.length === 0) {
    return [["Closes", "no advisory is named"]];
  }
  return manifest.advisories.map(({ id, severity, summary }, index) => {
    const details = `${severity === undefined ? "" : ` (${severity})`}${summary === undefined ? "" : `: ${printable(summary)}`}`;
    return [index === 0 ? "Closes" : "", `${printable(id)}${details}`];
  });
}

function describeSigners(opened: OpenedHotpatch, trust: TrustStore): [string, string][] {
  const signers = [
    ...opened.signedBy.map((keyId) => `${trust.keys.get(keyId)?.name ?? "key"} ${keyId}, trusted here`),
    ...opened.claimedBy.map((keyId) => `${keyId}, NOT trusted here and not checked`),
  ];
  if (signers.length === 0) {
    return [["Signed by", "NOBODY"]];
  }
  return signers.map((signer, index) => [index === 0 ? "Signed by" : "", signer]);
}

/** Each line is set in, so that no line of a description can pass for one of ours. */
function describeDescription(manifest: Manifest): string[] {
  return manifest.description === undefined
    ? []
    : manifest.description.split("\n").map((line) => `  | ${printable(line)}`);
}

function describeFile(file: NodeFile): string[] {
  const names = functionNames(file);
  const ways = [
    ...(file.live === undefined ? [] : ["live edit"]),
    ...(file.delta === undefined ? [] : ["values of the module set"]),
  ];
  const how = ways.length === 0 ? "only in copies loaded from now on" : ways.join(", ");
  const unreachable = file.unreachable
    .slice(0, shownNames)
    .map(
      ({ name, line, reason }) =>
        `    NOT REACHED in a process that has loaded it: ${printable(name)}, line ${line}: ${printable(reason)}`,
    );
  const more = file.unreachable.length - unreachable.length;
  return [
    `  ${printable(file.path)} (${file.format}; ${how})`,
    ...(names.length === 0 ? [] : [`    functions: ${someOf(names)}`]),
    ...unreachable,
    ...(more > 0 ? [`    NOT REACHED: ${more} more; --json shows them`] : []),
  ];
}

function describeChange({ hotpatch }: OpenedHotpatch): string[] {
  const { node, elf } = hotpatch.manifest;
  if (elf !== undefined) return elfInspectionText(hotpatch);
  if (node === undefined) return [];
  return [
    `Changes ${count(node.files.length, "file")}:`,
    ...node.files.flatMap(describeFile),
    ...describeAdded(node, hotpatch),
  ];
}

function describeAdded({ added }: NodeChange, hotpatch: Hotpatch): string[] {
  if (added.length === 0) {
    return [];
  }
  return [
    `Adds ${count(added.length, "file")}:`,
    ...added.map((file) => `  ${printable(file.path)} (${bytesText(hotpatch.payloads.get(file.text)?.length ?? 0)})`),
  ];
}

/** Each name once. */
function functionNames(file: NodeFile): string[] {
  return [...new Set(file.functions.map(({ name }) => name))];
}

function someOf(names: readonly string[]): string {
  const shown = names
    .slice(0, shownNames)
    .map((name) => (name === "" ? "(anonymous)" : printable(name)))
    .join(", ");
  return names.length > shownNames ? `${shown} and ${names.length - shownNames} more` : shown;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function bytesText(sizeBytes: number): string {
  return count(sizeBytes, "byte");
}

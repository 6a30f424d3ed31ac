/** `rebootless repo status`: what a catalog holds, how long it is good, and what needs a hand. */
import { printable } from "../../base/printable.ts";
import { type RepositoryStatus, type RoleStatus, repositoryStatus } from "../../repository/writer/status.ts";
import type { CommandSpec } from "../command.ts";
import { repoOption, repositoryOf } from "./repo-options.ts";

const shortIdDigits = 16;
const validityWords = { valid: "", soon: "  EXPIRES SOON", expired: "  EXPIRED" } as const;

export const repoStatus: CommandSpec = {
  name: "repo status",
  summary: "show versions, expiries, keys and hotpatches of a repository",
  description:
    "Ends with 1 when something has expired, will soon (less than a third of its term is left), or needs a hand otherwise.",
  options: [repoOption],
  examples: [
    { command: "rebootless repo status --repo ./catalog", what: "see whether all is well" },
    { command: "rebootless repo status --repo ./catalog --json", what: "the same for a monitor" },
  ],
  async run(input, io) {
    const status = await repositoryStatus(repositoryOf(input, io), new Date());
    return { data: status, text: statusText(status), exitCode: status.problems.length === 0 ? 0 : 1 };
  },
};

function statusText({ roles, hotpatches, baselines, withdrawn, staged, problems }: RepositoryStatus): string {
  return [
    "ROLE        VERSION  EXPIRES               KEYS",
    ...roles.map(roleLine),
    "",
    hotpatches.length === 0 ? "No hotpatch is published." : "Published:",
    ...hotpatches.map(({ path, sizeBytes, sequence, title, stage }) => {
      const what =
        title === null ? "" : `  ${printable(title)} (sequence ${sequence}${stage === null ? "" : `, ${stage}`})`;
      return `  ${printable(path)}  ${sizeBytes} bytes${what}`;
    }),
    ...baselines.map(({ id, month, title, stage }) => `  baseline ${id}  ${month}  ${printable(title)} (${stage})`),
    ...withdrawn.map(({ id, at, reason }) => `  withdrawn ${id} on ${at}: ${printable(reason)}`),
    ...(staged.length === 0
      ? []
      : ["Staged, visible after `rebootless repo publish`:", ...staged.map((id) => `  ${printable(id)}`)]),
    ...(problems.length === 0 ? [] : ["", ...problems.map((problem) => `ATTENTION: ${printable(problem)}`)]),
  ].join("\n");
}

function roleLine({ role, version, expires, threshold, keys, validity }: RoleStatus): string {
  const ids = keys.map((keyId) => keyId.slice(0, shortIdDigits)).join(" ");
  return `${role.padEnd(12)}${String(version).padEnd(9)}${expires.padEnd(22)}${threshold} of ${keys.length}: ${ids}${validityWords[validity]}`;
}

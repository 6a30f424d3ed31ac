/** What the commands about repositories and catalogs have in common: their options, and how their outcomes are told. */

import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import { type RoleName, roles } from "../../repository/layout.ts";
import { type RepositoryFolder, repositoryFolder } from "../../repository/writer/repository-folder.ts";
import type { Outcome } from "../../repository/writer/session.ts";
import { Keyring } from "../../repository/writer/tuf-keys.ts";
import type { CommandInput, CommandIo, CommandOption } from "../command.ts";
import { paths, text } from "../option-values.ts";
import { passphraseOf } from "./key.ts";

export const repoOption: CommandOption = {
  flags: "--repo <folder>",
  description: "the folder of the repository (or REBOOTLESS_REPO; by default the current folder)",
};

export const keysOption: CommandOption = {
  flags: "--keys <path>",
  description: "a folder of private keys, or one private key; may be given for each place where keys lie",
  repeatable: true,
};

export const dryRunOption: CommandOption = {
  flags: "--dry-run",
  description: "work everything out, say what would be written, and write nothing",
};

export function repositoryOf(input: CommandInput, io: CommandIo): RepositoryFolder {
  const fromEnvironment = io.env.REBOOTLESS_REPO === "" ? undefined : io.env.REBOOTLESS_REPO;
  return repositoryFolder(path.resolve(io.cwd, text(input, "repo") ?? fromEnvironment ?? "."));
}

export async function keyringOf(input: CommandInput, io: CommandIo): Promise<Keyring> {
  return await Keyring.open(paths(input, "keys", io), await passphraseOf(input, io));
}

/** Throws `usage/arguments` for a word that names no role. */
export function roleNamed(word: string): RoleName {
  const role = roles.find((name) => name === word);
  if (role === undefined) {
    throw new RebootlessError(
      "usage/arguments",
      `There is no role ${quoted(word)}; the roles are ${roles.join(", ")}.`,
    );
  }
  return role;
}

export function outcomeData({ plan, state }: Outcome, dryRun: boolean): Record<string, unknown> {
  return {
    dryRun,
    written: plan.writes.map(({ name, bytes }) => ({ name, sizeBytes: bytes.length })),
    versions: Object.fromEntries(roles.map((role) => [role, state[role].version])),
    expires: Object.fromEntries(roles.map((role) => [role, state[role].expires])),
  };
}

export function writtenLines({ plan }: Outcome, dryRun: boolean): string[] {
  if (plan.writes.length === 0) return [];
  return [
    dryRun ? "Would write, in this order:" : "Written, in this order:",
    ...plan.writes.map(({ name }) => `  ${printable(name)}`),
  ];
}

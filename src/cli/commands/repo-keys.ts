/** `rebootless repo rotate-key` and `rebootless repo renew`. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { printable } from "../../base/printable.ts";
import type { RoleName } from "../../repository/layout.ts";
import { renew } from "../../repository/writer/renew.ts";
import { rotateKey } from "../../repository/writer/rotate-key.ts";
import type { CommandInput, CommandIo, CommandSpec } from "../command.ts";
import { paths, text, texts, wholeNumber } from "../option-values.ts";
import { passphraseFileOption, passphraseOf } from "./key.ts";
import {
  dryRunOption,
  keyringOf,
  keysOption,
  outcomeData,
  repoOption,
  repositoryOf,
  roleNamed,
  writtenLines,
} from "./repo-options.ts";

export const repoRotateKey: CommandSpec = {
  name: "repo rotate-key",
  summary: "give a role new keys",
  description:
    "Needs the root keys for root, targets, snapshot and timestamp, the targets keys for targets and publishers, and the publishers' keys that stay.\nNew keys of root, targets and publishers are made in --new-keys, or else in the first folder that --keys names.",
  arguments: [{ name: "<root|targets|publishers|snapshot|timestamp>", description: "the role" }],
  options: [
    repoOption,
    keysOption,
    { flags: "--new-keys <folder>", description: "where new keys are made" },
    {
      flags: "--new-key <file>",
      description:
        "a key that comes, instead of one that is made: a private key, or the .pub file of somebody who signs elsewhere; may be given more than once",
      repeatable: true,
    },
    {
      flags: "--replace <keyid>",
      description: "the beginning of the id of a key that goes (all keys of the role, unless told); may be repeated",
      repeatable: true,
    },
    { flags: "--keep", description: "keep all keys of the role, and add to them" },
    { flags: "--threshold <number>", description: "how many of the keys must sign from now on" },
    {
      flags: "--old-keys-lost",
      description:
        "for targets: go on without the old keys; clients refuse the catalog until the command has written everything",
    },
    passphraseFileOption,
    dryRunOption,
  ],
  examples: [
    { command: "rebootless repo rotate-key timestamp --repo ./catalog --keys ./keys", what: "a new key for timestamp" },
    {
      command: "rebootless repo rotate-key root --repo ./catalog --keys ./keys --replace 3b1c9a77",
      what: "exchange one root key",
    },
    {
      command: "rebootless repo rotate-key publishers --repo ./catalog --keys ./keys --keep --new-key bob.pub",
      what: "let somebody else publish as well",
    },
  ],
  async run(input, io) {
    const role = roleNamed(input.arguments[0] ?? "");
    const dryRun = input.options.dryRun === true;
    const outcome = await rotateKey(repositoryOf(input, io), {
      now: new Date(),
      dryRun,
      role,
      keyring: await keyringOf(input, io),
      passphrase: await passphraseOf(input, io),
      replace: texts(input, "replace"),
      keep: input.options.keep === true,
      newKeys: paths(input, "newKey", io),
      keyFolder: await newKeyFolder(input, io),
      threshold: wholeNumber(input, "threshold", "--threshold"),
      oldKeysLost: input.options.oldKeysLost === true,
    });
    const { added, removed } = outcome;
    const lines = [
      ...removed.map((keyId) => `${dryRun ? "Would go" : "Gone"}: ${keyId}`),
      ...added.map((keyId) => (dryRun ? "Would come: a new key" : `Come: ${keyId}`)),
    ];
    const data = { ...outcomeData(outcome, dryRun), role, added: dryRun ? [] : added, removed };
    return { data, text: [...lines, ...writtenLines(outcome, dryRun)].join("\n") };
  },
};

async function newKeyFolder(input: CommandInput, io: CommandIo): Promise<string | undefined> {
  const given = text(input, "newKeys");
  if (given !== undefined) return path.resolve(io.cwd, given);
  for (const place of paths(input, "keys", io)) if ((await stat(place)).isDirectory()) return place;
  return undefined;
}

export const repoRenew: CommandSpec = {
  name: "repo renew",
  summary: "give roles a new expiry",
  description:
    "Without a role: snapshot and timestamp, whose keys the repository holds; run that from a timer, more often than the timestamp expires.\nroot, targets and publishers need their keys.",
  arguments: [{ name: "[role...]", description: "root, targets, publishers, snapshot, timestamp" }],
  options: [repoOption, keysOption, passphraseFileOption, dryRunOption],
  examples: [
    { command: "rebootless repo renew --repo ./catalog", what: "what a timer runs each day" },
    { command: "rebootless repo renew root targets --repo ./catalog --keys ./keys", what: "once a year" },
  ],
  async run(input, io) {
    const named = input.arguments.map(roleNamed);
    const roles: readonly RoleName[] = named.length === 0 ? ["snapshot", "timestamp"] : named;
    const dryRun = input.options.dryRun === true;
    const keyring = await keyringOf(input, io);
    const outcome = await renew(repositoryOf(input, io), { now: new Date(), dryRun, roles, keyring });
    const lines = roles.map(
      (role) => `${dryRun ? "Would be good" : "Good"} until ${printable(outcome.state[role].expires)}: ${role}`,
    );
    return {
      data: { ...outcomeData(outcome, dryRun), roles },
      text: [...lines, ...writtenLines(outcome, dryRun)].join("\n"),
    };
  },
};

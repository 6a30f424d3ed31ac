/** What a publisher says of releases: options of `repo add`, `rebootless repo stage` and `rebootless repo withdraw`. */
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import { readRegularFile } from "../../base/stored-file.ts";
import { baselineLimits } from "../../repository/baseline.ts";
import {
  checkRelease,
  type Release,
  releaseStages,
  silentRelease,
  withTextScores,
} from "../../repository/release-facts.ts";
import { restage, withdraw } from "../../repository/writer/withdraw.ts";
import type { CommandInput, CommandIo, CommandOption, CommandSpec } from "../command.ts";
import { text } from "../option-values.ts";
import { passphraseFileOption } from "./key.ts";
import {
  dryRunOption,
  keyringOf,
  keysOption,
  outcomeData,
  repoOption,
  repositoryOf,
  writtenLines,
} from "./repo-options.ts";

export const releaseOptions: readonly CommandOption[] = [
  {
    flags: "--release <file>",
    description: "JSON with what is said of the release (docs/catalog.md); options add to it",
  },
  { flags: "--stage <stage>", description: `how far it has come: ${releaseStages.join(", ")}` },
  { flags: "--month <month>", description: "the month of the servicing calendar, such as 2026-11" },
  { flags: "--available <day>", description: "the day from which it is available, such as 2026-11-10" },
  { flags: "--baseline <id>", description: "the baseline that a hotpatch builds on" },
  { flags: "--build <build>", description: "the build that it brings" },
  { flags: "--out-of-band", description: "it does not wait for the day of its month" },
  { flags: "--leaves-track", description: "a device that takes it gets no hotpatches until the next baseline" },
];

const named = ["stage", "month", "baseline", "build"] as const;

export function monthOf(now: Date): string {
  return now.toISOString().slice(0, 7);
}

/** Undefined where nothing is said. Throws `usage/arguments`, and what the file throws. */
export async function releaseOf(input: CommandInput, io: CommandIo): Promise<Release | undefined> {
  const file = text(input, "release");
  const given: Record<string, unknown> = {};
  for (const name of named) {
    const value = text(input, name);
    if (value !== undefined) given[name] = value;
  }
  const availableAt = text(input, "available");
  if (availableAt !== undefined) given.availableAt = availableAt;
  if (input.options.outOfBand === true) given.cadence = "outOfBand";
  if (input.options.leavesTrack === true) given.track = "leaves";
  if (file === undefined && Object.keys(given).length === 0) return undefined;
  const written = file === undefined ? {} : await readJson(path.resolve(io.cwd, file));
  const release = { ...silentRelease(monthOf(new Date())), ...written, ...given };
  return checkRelease(withTextScores(release), (problem) => {
    throw new RebootlessError("usage/arguments", `What is said of the release cannot be used: ${problem}.`);
  });
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const bytes = await readRegularFile(file, {
    what: "release",
    check: ({ size }) => {
      if (size <= baselineLimits.bytes) return;
      throw new RebootlessError("input/too-large", `${quoted(file)} has more than ${baselineLimits.bytes} bytes.`);
    },
  });
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new RebootlessError("input/json-invalid", `${quoted(file)} is not JSON.`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RebootlessError("input/json-invalid", `${quoted(file)} is not a JSON object.`);
  }
  return value as Record<string, unknown>;
}

const idArgument = {
  name: "<id>",
  description: "the id of a hotpatch or baseline, as `rebootless repo status` shows it",
};

export const repoWithdraw: CommandSpec = {
  name: "repo withdraw",
  summary: "take a published hotpatch or baseline out of the catalog",
  description:
    "Nobody can download it any more, servers offer it to nobody, and everybody sees why. Where it is in place it stays, until it is reverted. Its id is never used again.",
  arguments: [idArgument],
  options: [
    { flags: "--reason <text>", description: "why, for those who follow the catalog" },
    ...[repoOption, keysOption, passphraseFileOption, dryRunOption],
  ],
  examples: [
    {
      command:
        'rebootless repo withdraw npm-json5-2.2.1-to-2.2.2 --reason "breaks comments" --repo ./catalog --keys ./keys',
      what: "nobody takes it from now on",
    },
  ],
  async run(input, io) {
    const [id = ""] = input.arguments;
    const reason = text(input, "reason")?.trim() ?? "";
    if (reason === "" || reason.length > 2000) {
      throw new RebootlessError(
        "usage/arguments",
        "Say why it is withdrawn, in at most 2000 characters: --reason TEXT.",
      );
    }
    const dryRun = input.options.dryRun === true;
    const keyring = await keyringOf(input, io);
    const outcome = await withdraw(repositoryOf(input, io), { now: new Date(), dryRun, keyring, id, reason });
    const line = `${dryRun ? "Would withdraw" : "Withdrawn"}: ${printable(id)}.`;
    const data = { ...outcomeData(outcome, dryRun), withdrawal: outcome.withdrawal };
    return { data, text: [line, ...writtenLines(outcome, dryRun)].join("\n") };
  },
};

export const repoStage: CommandSpec = {
  name: "repo stage",
  summary: "say how far a published release has come",
  description: "A preview goes to groups that asked for previews alone; general and expanded go to all.",
  arguments: [idArgument, { name: "<stage>", description: releaseStages.join(", ") }],
  options: [repoOption, keysOption, passphraseFileOption, dryRunOption],
  examples: [
    {
      command: "rebootless repo stage npm-json5-2.2.1-to-2.2.2 general --repo ./catalog --keys ./keys",
      what: "a preview has stood its test",
    },
  ],
  async run(input, io) {
    const [id = "", word = ""] = input.arguments;
    const stage = releaseStages.find((name) => name === word);
    if (stage === undefined) {
      throw new RebootlessError(
        "usage/arguments",
        `The stages are ${releaseStages.join(", ")}, and not ${quoted(word)}.`,
      );
    }
    const now = new Date();
    const dryRun = input.options.dryRun === true;
    const otherwise = silentRelease(monthOf(now));
    const options = { now, dryRun, keyring: await keyringOf(input, io), id, stage, otherwise };
    const outcome = await restage(repositoryOf(input, io), options);
    const line = `${printable(id)} ${dryRun ? "would be" : "is"} ${stage}.`;
    return {
      data: { ...outcomeData(outcome, dryRun), id, stage },
      text: [line, ...writtenLines(outcome, dryRun)].join("\n"),
    };
  },
};

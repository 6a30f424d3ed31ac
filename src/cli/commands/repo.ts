/** `rebootless repo …`: making and keeping a catalog. */
import path from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import { readRegularFile } from "../../base/stored-file.ts";
import { readHotpatchFile } from "../../hotpatch/hotpatch-file.ts";
import { readBaseline } from "../../repository/baseline.ts";
import { initRepository, type RoleSize } from "../../repository/writer/init.ts";
import { publish, stageHotpatch } from "../../repository/writer/publish.ts";
import { defaultExpiryDays, repositoryFolder, type Settings } from "../../repository/writer/repository-folder.ts";
import { stageBaseline } from "../../repository/writer/staged-baselines.ts";
import type { CommandInput, CommandIo, CommandResult, CommandSpec } from "../command.ts";
import { paths, text, texts, wholeNumber } from "../option-values.ts";
import { passphraseFileOption, passphraseOf, trustDirectoryOption } from "./key.ts";
import { openHotpatchFile } from "./open-file.ts";
import { repoRenew, repoRotateKey } from "./repo-keys.ts";
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
import { releaseOf, releaseOptions, repoStage, repoWithdraw } from "./repo-release.ts";
import { repoStatus } from "./repo-status.ts";

const repoInit: CommandSpec = {
  name: "repo init",
  summary: "make a repository with its keys and an empty catalog",
  description:
    "Makes the keys of root, targets and publishers in the folder that --keys names, unless it holds root-1.key, targets-1.key, publishers-1.key and so on already; take that folder off the machine afterwards.\nThe keys of snapshot and timestamp stay in the repository's private folder.\nServe the folder public with any web server, and hand metadata/1.root.json to those who shall follow the catalog.",
  arguments: [{ name: "<folder>", description: "the folder of the new repository" }],
  options: [
    { flags: "--keys <folder>", description: "where the offline keys lie, or are made" },
    passphraseFileOption,
    { flags: "--root-threshold <number>", description: "how many root keys must sign", default: "1" },
    { flags: "--root-keys <number>", description: "how many root keys there are (as many as must sign, unless told)" },
    { flags: "--targets-threshold <number>", description: "how many targets keys must sign", default: "1" },
    { flags: "--targets-keys <number>", description: "how many targets keys there are" },
    { flags: "--publishers-threshold <number>", description: "how many publishers must sign", default: "1" },
    { flags: "--publishers-keys <number>", description: "how many publishers' keys there are" },
    {
      flags: "--publisher-key <file>",
      description: "a private key that publishes, instead of a new one; may be given more than once",
      repeatable: true,
    },
    {
      flags: "--expires <role=days>",
      description: "for how many days a role's metadata is valid, such as timestamp=3; may be given for each role",
      repeatable: true,
    },
    dryRunOption,
  ],
  examples: [
    { command: "rebootless repo init ./catalog --keys /media/usb/keys", what: "one key a role" },
    {
      command:
        "rebootless repo init ./catalog --keys ./keys --root-threshold 2 --root-keys 3 --passphrase-file ./passphrase",
      what: "two of three root keys must sign, all encrypted",
    },
  ],
  async run(input, io) {
    const keyFolder = text(input, "keys");
    if (keyFolder === undefined) {
      throw new RebootlessError("usage/arguments", "Say where the offline keys lie or are to be made: --keys FOLDER.");
    }
    const repository = repositoryFolder(path.resolve(io.cwd, input.arguments[0] ?? "."));
    const publisherKeys = paths(input, "publisherKey", io);
    const dryRun = input.options.dryRun === true;
    const outcome = await initRepository(repository, {
      now: new Date(),
      dryRun,
      keyFolder: path.resolve(io.cwd, keyFolder),
      passphrase: await passphraseOf(input, io),
      sizes: {
        root: sizeOf(input, "root"),
        targets: sizeOf(input, "targets"),
        publishers: sizeOf(input, "publishers"),
      },
      publisherKeys,
      expiryDays: expiryDaysOf(input),
    });
    const root = path.join(repository.metadataFolder, "1.root.json");
    const lines = dryRun
      ? []
      : [
          `Made a repository in ${printable(repository.folder)}.`,
          `Serve:     ${printable(repository.publicFolder)}`,
          `Hand over: ${printable(root)} to those who follow the catalog, over a way that they trust`,
          `Take away: ${printable(path.resolve(io.cwd, keyFolder))} (offline keys)`,
        ];
    const data = { ...outcomeData(outcome, dryRun), folder: repository.folder, public: repository.publicFolder, root };
    return { data, text: [...lines, ...writtenLines(outcome, dryRun)].join("\n") };
  },
};

function sizeOf(input: CommandInput, role: "root" | "targets" | "publishers"): RoleSize {
  const threshold = wholeNumber(input, `${role}Threshold`, `--${role}-threshold`) ?? 1;
  return { threshold, keys: wholeNumber(input, `${role}Keys`, `--${role}-keys`) ?? threshold };
}

function expiryDaysOf(input: CommandInput): Settings["expiryDays"] {
  const days = { ...defaultExpiryDays };
  for (const given of texts(input, "expires")) {
    const [role = "", number = ""] = given.split("=");
    if (!/^[1-9]\d{0,3}$/.test(number) || Number(number) > 3650) {
      throw new RebootlessError("usage/arguments", "--expires takes a role and 1 to 3650 days, such as timestamp=3.");
    }
    days[roleNamed(role)] = Number(number);
  }
  return days;
}

const repoAdd: CommandSpec = {
  name: "repo add",
  summary: "stage hotpatches and baselines for the next publish",
  description:
    "A hotpatch is opened and checked as `rebootless apply` would: a trusted key must have signed it. A file that ends with .json is a baseline (docs/catalog.md). Nothing is visible before `rebootless repo publish`.",
  arguments: [{ name: "<file...>", description: "hotpatches, and baselines as JSON" }],
  options: [repoOption, trustDirectoryOption, ...releaseOptions, dryRunOption],
  examples: [
    { command: "rebootless repo add lodash.hotpatch --repo ./catalog", what: "let the next publish take it" },
    {
      command: "rebootless repo add expat.hotpatch --stage preview --baseline debian-12-2026-10 --repo ./catalog",
      what: "a preview, for devices that are on a baseline",
    },
    { command: "rebootless repo add debian-12-2026-10.json --repo ./catalog", what: "a baseline" },
  ],
  async run(input, io) {
    const repository = repositoryOf(input, io);
    const dryRun = input.options.dryRun === true;
    const added: Record<string, unknown>[] = [];
    for (const file of input.arguments) added.push(await addOne(file, { input, io, dryRun, repository }));
    const words = {
      staged: dryRun ? "would be staged" : "staged",
      "staged-before": "staged already",
      "published-before": "published already",
    };
    const lines = added.map(({ id, answer }) => `${printable(String(id))}: ${words[answer as keyof typeof words]}`);
    return { data: { dryRun, added }, text: lines.join("\n") };
  },
};

interface Adding {
  readonly input: CommandInput;
  readonly io: CommandIo;
  readonly dryRun: boolean;
  readonly repository: ReturnType<typeof repositoryOf>;
}

async function addOne(file: string, { input, io, dryRun, repository }: Adding): Promise<Record<string, unknown>> {
  if (file.endsWith(".json")) return await addBaseline(file, { input, io, dryRun, repository });
  const release = await releaseOf(input, io);
  const options = { trustDirectory: text(input, "trustDir"), allowUnsigned: false };
  const opened = await openHotpatchFile(file, options, io);
  const bytes = await readHotpatchFile(path.resolve(io.cwd, file));
  const answer = await stageHotpatch(repository, bytes, opened, {
    dryRun,
    ...(release === undefined ? {} : { release }),
  });
  return { file, id: opened.hotpatch.manifest.id, digest: opened.digest, answer };
}

/** What is said of its release stands in the file itself. */
async function addBaseline(file: string, { input, io, dryRun, repository }: Adding): Promise<Record<string, unknown>> {
  if ((await releaseOf(input, io)) !== undefined) {
    throw new RebootlessError(
      "usage/arguments",
      "Options about the release are for hotpatches; a baseline says it itself.",
    );
  }
  const bytes = await readRegularFile(path.resolve(io.cwd, file), { what: "baseline" });
  const baseline = readBaseline(bytes, file);
  return { file, id: baseline.id, answer: await stageBaseline(repository, baseline, { dryRun }) };
}

const repoPublish: CommandSpec = {
  name: "repo publish",
  summary: "sign the staged hotpatches and make them visible",
  description:
    "Signs with the publishers' keys that --keys names. The timestamp is written last, so clients see all of it or nothing; after an interruption, publish again.",
  options: [repoOption, keysOption, passphraseFileOption, dryRunOption],
  examples: [
    {
      command: "rebootless repo publish --repo ./catalog --keys ./keys/publishers-1.key",
      what: "publish what is staged",
    },
    { command: "rebootless repo publish --repo ./catalog --keys ./keys --dry-run", what: "see what would be written" },
  ],
  async run(input, io): Promise<CommandResult> {
    const dryRun = input.options.dryRun === true;
    const keyring = await keyringOf(input, io);
    const outcome = await publish(repositoryOf(input, io), { now: new Date(), dryRun, keyring });
    const { published } = outcome;
    const lines =
      published.length === 0
        ? ["Nothing is staged that the catalog does not have already; see rebootless repo add."]
        : published.map((name) => `${dryRun ? "Would publish" : "Published"} ${printable(name)}`);
    const data = { ...outcomeData(outcome, dryRun), published };
    return { data, text: [...lines, ...writtenLines(outcome, dryRun)].join("\n") };
  },
};

export const repoCommands: readonly CommandSpec[] = [
  repoInit,
  repoAdd,
  repoPublish,
  repoStage,
  repoWithdraw,
  repoRotateKey,
  repoRenew,
  repoStatus,
];

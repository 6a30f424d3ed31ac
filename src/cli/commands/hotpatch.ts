/** `rebootless hotpatch …`: what can be approved, what is known of it, and one file to install by hand. */
import type { AdvisoryNote, CatalogSearch } from "../../api/schemas/catalog.ts";
import { releaseChannels, releaseStages, severities } from "../../api/schemas/catalog.ts";
import type { Hotpatch, HotpatchDetails } from "../../api/schemas/hotpatches.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandResult, CommandSpec } from "../command.ts";
import { text } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { type ServerTarget, serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { catalogGet } from "./catalog.ts";

const searchOptions: readonly CommandOption[] = [
  { flags: "--cve <id>", description: "only what closes this hole" },
  { flags: "--severity <severity>", description: `only of this severity or worse: ${severities.join(", ")}` },
  { flags: "--product <product>", description: "only for this product, such as elf/expat or expat" },
  { flags: "--stage <stage>", description: `only of this stage: ${releaseStages.join(", ")}` },
  { flags: "--channel <channel>", description: `only of this channel: ${releaseChannels.join(", ")}` },
  { flags: "--exploited", description: "only what is known to be used against somebody" },
];

/** One of a list of words. Throws `usage/arguments`. */
export function wordOf<const Word extends string>(
  input: CommandInput,
  name: string,
  list: readonly Word[],
): Word | undefined {
  const given = text(input, name);
  if (given === undefined) return undefined;
  const word = list.find((one) => one === given);
  if (word === undefined) {
    throw new RebootlessError("usage/arguments", `--${name} is one of ${list.join(", ")}, and not ${quoted(given)}.`);
  }
  return word;
}

function searchOf(input: CommandInput): CatalogSearch {
  const [cve, product] = [text(input, "cve"), text(input, "product")];
  const severity = wordOf(input, "severity", severities);
  const stage = wordOf(input, "stage", releaseStages);
  const channel = wordOf(input, "channel", releaseChannels);
  return {
    ...(input.arguments.length === 0 ? {} : { text: input.arguments.join(" ") }),
    ...(cve === undefined ? {} : { cve }),
    ...(product === undefined ? {} : { product }),
    ...(severity === undefined ? {} : { severity }),
    ...(stage === undefined ? {} : { stage }),
    ...(channel === undefined ? {} : { channel }),
    ...(input.options.exploited === true ? { exploited: true } : {}),
  };
}

async function listed(server: ServerTarget, search: CatalogSearch, nothing: string): Promise<CommandResult> {
  const hotpatches = await askAll((cursor) =>
    ask(server, "listHotpatches", { query: { ...pageQuery(cursor).query, ...search } }),
  );
  const table = textTable(
    ["HOTPATCH", "SEVERITY", "SCORE", "EXPLOITED", "STAGE", "MONTH", "ADVISORIES", "TITLE"],
    [...hotpatches.map(hotpatchRow)],
  );
  return { data: { hotpatches }, text: hotpatches.length === 0 ? nothing : table };
}

function hotpatchRow({ id, severity, score, exploited, release, advisories, title }: Hotpatch): string[] {
  const rated = [severity ?? "-", score === null ? "-" : score.toFixed(1), exploited ? "yes" : "-"];
  return [id, ...rated, release.stage, release.month ?? "-", advisories.map((one) => one.id).join(",") || "-", title];
}

const hotpatchList: CommandSpec = {
  name: "hotpatch list",
  summary: "list the hotpatches that can be approved",
  description: "They are those of the catalog that the server follows, verified.",
  options: serverOptions,
  examples: [{ command: "rebootless hotpatch list", what: "what the catalog has to offer" }],
  run: async (input, io) => await listed(serverOf(input, io), {}, "The catalog lists no hotpatch."),
};

const hotpatchSearch: CommandSpec = {
  name: "hotpatch search",
  summary: "find hotpatches by words, hole, severity, product or stage",
  description: "All that is given has to hold. Words are looked for in ids, titles, products and advisories.",
  arguments: [{ name: "[words...]", description: "words, each of which has to occur" }],
  options: [...serverOptions, ...searchOptions],
  examples: [
    { command: "rebootless hotpatch search --cve CVE-2026-0001", what: "what closes a hole" },
    { command: "rebootless hotpatch search expat --severity high --exploited", what: "what is urgent" },
  ],
  run: async (input, io) =>
    await listed(serverOf(input, io), searchOf(input), "Nothing of the kind is in the catalog."),
};

const hotpatchShow: CommandSpec = {
  name: "hotpatch show",
  summary: "show what is known of one hotpatch",
  description:
    "What its author and its publisher signed; apart from that, what imported advisories say of the holes that it closes, with their source.",
  arguments: [{ name: "<id>", description: "its id, as `rebootless hotpatch list` shows it" }],
  options: serverOptions,
  examples: [{ command: "rebootless hotpatch show npm-json5-2.2.1-to-2.2.2", what: "one hotpatch" }],
  async run(input, io) {
    const [hotpatchId = ""] = input.arguments;
    const details = await ask(serverOf(input, io), "getHotpatch", { params: { hotpatchId } });
    return { data: details, text: detailLines(hotpatchId, details).map(printable).join("\n") };
  },
};

function detailLines(id: string, { hotpatch, withdrawal, supersededBy, advisoryNotes }: HotpatchDetails): string[] {
  const gone = withdrawal === null ? [] : [`Withdrawn:   ${withdrawal.at}: ${withdrawal.reason}`];
  if (hotpatch === null) return [id, ...gone];
  const { title, sequence, target, release, advisories, supersedes, digest, sizeBytes } = hotpatch;
  const version = target.version === undefined ? "" : ` ${target.version}`;
  const rating = (name: string) => release.ratings.find((one) => one.id === name);
  const holes = advisories.map(({ id: name, severity }) => {
    const { severity: rated = severity, cvss, exploited } = rating(name) ?? { severity };
    const score = cvss === undefined ? "" : `  ${cvss.score.toFixed(1)} (${cvss.vector})`;
    return `  ${name}  ${rated ?? "not rated"}${score}${exploited === true ? "  EXPLOITED" : ""}`;
  });
  return [
    id,
    ...gone,
    `Title:       ${title}`,
    `For:         ${target.kind}/${target.name}${version}`,
    `Release:     ${release.stage}, ${release.channel} channel, ${release.cadence}, ${release.month ?? "no month"}`,
    `Baseline:    ${release.baseline ?? "any"}`,
    `Restart:     ${release.restart}; ${release.track} the hotpatch track`,
    `Sequence:    ${sequence}`,
    `Supersedes:  ${supersedes.join(", ") || "nothing"}`,
    ...(supersededBy.length === 0 ? [] : [`Superseded:  by ${supersededBy.join(", ")}`]),
    `Digest:      sha256:${digest} (${sizeBytes} bytes)`,
    holes.length === 0 ? "Closes:      no advisory" : "Closes:",
    ...holes,
    ...(advisoryNotes.length === 0 ? [] : ["Not signed, from advisories:"]),
    ...advisoryNotes.flatMap(({ note }) => noteLines(note)),
  ];
}

export function noteLines({ id, title, severity, cvss, exploited, source }: AdvisoryNote): string[] {
  const scores = cvss.map(({ vector, score }) => `${score.toFixed(1)} (${vector})`).join(", ");
  const rated = [severity ?? "not rated", scores, exploited === true ? "EXPLOITED" : ""].filter((part) => part !== "");
  return [
    `  ${id}  ${rated.join("  ")}  ${title}`,
    `    says ${source.publisher} in ${source.document} ${source.version} (${source.format})`,
  ];
}

/** The same as from a catalog, under the name that people look for. */
const hotpatchDownload: CommandSpec = {
  ...catalogGet,
  name: "hotpatch download",
  summary: "download one verified file to install by hand, offline",
  description:
    "The file is verified against the catalog, which --from names, before it appears. It can be carried to a machine without a network; `rebootless apply` checks there who built it.",
  examples: [
    {
      command: "rebootless hotpatch download npm-json5-2.2.1-to-2.2.2 --from https://patches.example/ -o fix.hotpatch",
      what: "then `rebootless apply fix.hotpatch --pid 4711`",
    },
  ],
};

const hotpatchCompatibility: CommandSpec = {
  name: "hotpatch compatibility",
  summary: "say how many devices can take a hotpatch as they are now, and what keeps it from the others",
  description: "Nothing is decided or changed. Exits with 1 where a device cannot take it.",
  arguments: [{ name: "<id>", description: "its id, as `rebootless hotpatch list` shows it" }],
  options: [...serverOptions, { flags: "--group <id>", description: "of this group (all unless told)" }],
  examples: [{ command: "rebootless hotpatch compatibility expat-12 --group web", what: "before it is approved" }],
  async run(input, io) {
    const [hotpatchId = ""] = input.arguments;
    const groupId = text(input, "group");
    const query = groupId === undefined ? {} : { groupId };
    const found = await ask(serverOf(input, io), "getCompatibility", { params: { hotpatchId }, query });
    const { devices, ready, blocked } = found;
    const lines = [
      `Of ${devices} devices ${ready} can take it as they are.`,
      ...blocked.flatMap((row) => [`${row.devices}: ${row.code}: ${row.reason}`, `    ${row.helps}`]),
    ];
    return { data: found, text: lines.map(printable).join("\n"), exitCode: ready === devices ? 0 : 1 };
  },
};

export const hotpatchCommands: readonly CommandSpec[] = [
  hotpatchList,
  hotpatchShow,
  hotpatchCompatibility,
  hotpatchSearch,
  hotpatchDownload,
];

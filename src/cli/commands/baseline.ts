/** `rebootless baseline …` and `rebootless channel …`: the servicing calendar, where devices stand in it, and what groups opted into. */
import { type Baseline, type CalendarRow, type DeviceServicing, releaseChannels } from "../../api/schemas/catalog.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { text, wholeNumber } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { deviceNamed } from "./device.ts";
import { wordOf } from "./hotpatch.ts";

const baselineList: CommandSpec = {
  name: "baseline list",
  summary: "list the baselines of the catalog",
  options: serverOptions,
  examples: [{ command: "rebootless baseline list", what: "baselines by id" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const baselines = await askAll((cursor) => ask(server, "listBaselines", pageQuery(cursor)));
    const rows = baselines.map(({ id, release, system, title }) => [
      ...[id, release.month ?? "-", release.stage, `${system.id} ${system.version ?? ""}`.trim(), title],
    ]);
    const table = textTable(["BASELINE", "MONTH", "STAGE", "SYSTEM", "TITLE"], rows);
    return { data: { baselines }, text: rows.length === 0 ? "The catalog lists no baseline." : table };
  },
};

const baselineShow: CommandSpec = {
  name: "baseline show",
  summary: "show what a machine must have to be on a baseline",
  arguments: [{ name: "<id>", description: "its id, as `rebootless baseline list` shows it" }],
  options: serverOptions,
  examples: [{ command: "rebootless baseline show debian-12-2026-10", what: "packages, kernel, build" }],
  async run(input, io) {
    const [id = ""] = input.arguments;
    const server = serverOf(input, io);
    const baselines = await askAll((cursor) => ask(server, "listBaselines", pageQuery(cursor)));
    const baseline = baselines.find((one) => one.id === id);
    if (baseline === undefined) {
      throw new RebootlessError("request/not-found", `The catalog lists no baseline ${quoted(id)}.`);
    }
    return { data: baseline, text: baselineLines(baseline).map(printable).join("\n") };
  },
};

function baselineLines({
  id,
  title,
  system,
  release,
  requires,
  advisories,
  supersedes,
  unplanned,
}: Baseline): string[] {
  const { packages, kernel, build } = requires;
  return [
    id,
    `Title:       ${title}`,
    `For:         ${[system.id, system.version, system.architecture].filter((part) => part !== null).join(" ")}`,
    `Release:     ${release.stage}, ${release.cadence}${unplanned ? ", unplanned" : ""}, ${release.month ?? "no month"}`,
    `Restart:     ${release.restart}; ${release.track} the hotpatch track`,
    `Supersedes:  ${supersedes.join(", ") || "nothing"}`,
    `Closes:      ${advisories.map((one) => one.id).join(", ") || "no advisory"}`,
    "Requires:",
    ...(kernel === null ? [] : [`  kernel ${kernel} or newer, running`]),
    ...(build === null ? [] : [`  build ${build} or newer`]),
    ...Object.entries(packages).map(([name, version]) => `  ${name} ${version} or newer, where it is installed`),
  ];
}

function calendarCells({ month, updateType, type, availableAt, build, id }: CalendarRow): string[] {
  return [month, updateType, type, availableAt ?? (id === null ? "planned" : "-"), build ?? "-", id ?? "-"];
}

function monthOf(input: CommandInput): { from: string } | undefined {
  const from = text(input, "from");
  if (from === undefined) return undefined;
  if (/^\d{4}-(0[1-9]|1[0-2])$/.test(from)) return { from };
  throw new RebootlessError("usage/arguments", `--from takes a month such as 2026-11, and not ${quoted(from)}.`);
}

const baselineCalendar: CommandSpec = {
  name: "baseline calendar",
  summary: "show the servicing calendar: what was released, and what is planned",
  description:
    "Baselines, with a restart, in January, April, July and October; hotpatches in the months between. `B*` is an unplanned baseline, `OOB` an update out of band.",
  options: [
    ...serverOptions,
    { flags: "--from <month>", description: "the first month (January of this year, unless told)" },
    { flags: "--months <number>", description: "how many months (12, unless told)" },
  ],
  examples: [{ command: "rebootless baseline calendar --from 2026-10 --months 6", what: "half a year" }],
  async run(input, io) {
    const months = wholeNumber(input, "months", "--months");
    const query = { ...monthOf(input), ...(months === undefined ? {} : { months }) };
    const { rows } = await ask(serverOf(input, io), "getCalendar", { query });
    const head = ["MONTH", "UPDATE TYPE", "TYPE", "AVAILABILITY DATE", "BUILD", "ID"];
    return { data: { rows }, text: textTable(head, rows.map(calendarCells)) };
  },
};

const baselineDevice: CommandSpec = {
  name: "baseline device",
  summary: "show which baseline a device is on, and what it is offered",
  arguments: [{ name: "<device>", description: "its name, or the beginning of its id" }],
  options: serverOptions,
  examples: [{ command: "rebootless baseline device web-1", what: "and why it gets what it gets" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const device = await deviceNamed(server, input.arguments[0] ?? "");
    const servicing = await ask(server, "getDeviceServicing", { params: { deviceId: device.id } });
    return { data: servicing, text: servicingLines(device.name, servicing).map(printable).join("\n") };
  },
};

const standingWords = {
  current: "it is on the newest",
  behind: "it is behind the newest",
  restart: "the newest is installed; it has to restart",
  unknown: "it does not tell what a baseline asks",
  elsewhere: "there is none for its system",
} as const;

function servicingLines(name: string, servicing: DeviceServicing): string[] {
  const { channel, preview, baseline, newest, standing, lacks, offTrack, offers } = servicing;
  return [
    name,
    `Channel:   ${channel}${preview ? ", with previews" : ""}`,
    `Baseline:  ${baseline ?? "none"}; ${standingWords[standing]}${newest === null ? "" : ` (${newest})`}`,
    ...lacks.map((one) => `  lacks ${one}`),
    ...(offTrack === null ? [] : [`Off track: by ${offTrack.by}, until the baseline of ${offTrack.until}`]),
    offers.length === 0 ? "Offered:   nothing" : "Offered:",
    ...offers.map(
      ({ kind, id, restart, reason }) =>
        `  ${kind} ${id}${restart === "required" ? " (restart)" : ""}${reason === "" ? "" : `: ${reason}`}`,
    ),
  ];
}

const channelList: CommandSpec = {
  name: "channel list",
  summary: "list what groups opted into: channel, previews, leaving the track",
  options: serverOptions,
  examples: [{ command: "rebootless channel list", what: "groups that said something" }],
  async run(input, io) {
    const { items } = await ask(serverOf(input, io), "listServicing");
    const rows = items.map((one) => [
      ...[one.groupId, one.channel, one.preview ? "yes" : "no", one.mayLeaveTrack ? "yes" : "no"],
      ...[one.changedAt, one.changedBy, one.reason],
    ]);
    const table = textTable(["GROUP", "CHANNEL", "PREVIEWS", "MAY LEAVE TRACK", "SINCE", "BY", "REASON"], rows);
    return { data: { items }, text: rows.length === 0 ? "All groups are on the hotpatch channel." : table };
  },
};

function flag(input: CommandInput, name: string): boolean | undefined {
  const word = wordOf(input, name, ["yes", "no"]);
  return word === undefined ? undefined : word === "yes";
}

const groupArgument = { name: "<group>", description: "the id of the group" };

const channelSet = withDryRun({
  name: "channel set",
  summary: "say which channel a group is on, and whether it gets previews",
  description: "What is not given stays as it is. What is offered to its devices follows at once.",
  arguments: [groupArgument],
  options: [
    ...serverOptions,
    { flags: "--channel <channel>", description: `${releaseChannels.join(" or ")} (baselines with a restart)` },
    { flags: "--preview <yes or no>", description: "whether it gets previews" },
    { flags: "--leave <yes or no>", description: "whether it may take updates that leave the hotpatch track" },
    { flags: "--reason <text>", description: "why" },
  ],
  examples: [{ command: "rebootless channel set test --preview yes", what: "the ring Test gets previews" }],
  async run(input, io) {
    const [groupId = ""] = input.arguments;
    const channel = wordOf(input, "channel", releaseChannels);
    const [preview, mayLeaveTrack, reason] = [flag(input, "preview"), flag(input, "leave"), text(input, "reason")];
    const body = {
      ...(channel === undefined ? {} : { channel }),
      ...(preview === undefined ? {} : { preview }),
      ...(mayLeaveTrack === undefined ? {} : { mayLeaveTrack }),
      ...(reason === undefined ? {} : { reason }),
    };
    const choice = await ask(serverOf(input, io), "setServicing", { params: { groupId }, body });
    const previews = choice.preview ? "with previews" : "without previews";
    return { data: choice, text: `${choice.groupId} is on the ${choice.channel} channel, ${previews}.` };
  },
});

const channelClear = withDryRun({
  name: "channel clear",
  summary: "take back what a group opted into",
  arguments: [groupArgument],
  options: serverOptions,
  examples: [{ command: "rebootless channel clear test", what: "no previews any more" }],
  async run(input, io) {
    const [groupId = ""] = input.arguments;
    await ask(serverOf(input, io), "clearServicing", { params: { groupId } });
    return { data: { groupId, cleared: true }, text: `${printable(groupId)} says nothing any more.` };
  },
});

export const baselineCommands: readonly CommandSpec[] = [
  ...[baselineList, baselineShow, baselineCalendar, baselineDevice],
  ...[channelList, channelSet, channelClear],
];

/** Maintenance windows, active hours, deadlines and grace on the command line, and `rebootless policy windows`. */
import { type MaintenanceWindow, type PolicyWindows, policyLimits, weekdays } from "../../api/schemas/policies.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandSpec } from "../command.ts";
import { text, texts, wholeNumber } from "../option-values.ts";
import { ask } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

const exampleId = "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21";
const weeks = ["first", "second", "third", "fourth", "last"] as const;
const spanUnits = { h: 60, m: 1 } as const;

export const timeOptions: readonly CommandOption[] = [
  {
    flags: "--window <when>",
    description: "such as `daily 22:00+4h`, `Sat,Sun 00:00+90m`, `second Tue+3 22:00+4h`; may be repeated; or none",
    repeatable: true,
  },
  { flags: "--active-hours <from-to>", description: "nothing begins then, such as 08:00-17:00; or none" },
  { flags: "--time-zone <name>", description: "of devices that do not tell theirs, such as Europe/Berlin; or none" },
  { flags: "--deadline-days <number>", description: "after so many days nothing but its grace waits; or none" },
  { flags: "--grace-days <number>", description: "how long after the deadline, 0 to 7" },
  {
    flags: "--announce-hours <number>",
    description: "how long before a window opens it is announced, 0 for not at all",
  },
];

function wrong(flag: string, wanted: string, given: string): never {
  throw new RebootlessError("usage/arguments", `${flag} takes ${wanted}, not ${quoted(given)}.`);
}

/** Throws `usage/arguments`. */
export function windowOf(given: string): MaintenanceWindow {
  const [, when = "", start = "", span = "", unit = ""] =
    /^(.+) (\d\d:\d\d)\+(\d{1,4})(h|m)$/.exec(given) ?? wrong("--window", "WHEN HH:MM+SPAN", given);
  const minutes = Number(span) * spanUnits[unit as keyof typeof spanUnits];
  if (when === "daily") return { start, minutes, weekdays: [], monthly: null };
  const [, week, day, plus = "0"] = /^([a-z]+) ([A-Z][a-z]{2})(?:\+(\d{1,2}))?$/.exec(when) ?? [];
  const known = weeks.find((one) => one === week);
  const weekday = weekdays.find((one) => one === day);
  if (known !== undefined && weekday !== undefined) {
    const counted = known === "last" ? known : weeks.indexOf(known) + 1;
    return { start, minutes, weekdays: [], monthly: { week: counted, weekday, plusDays: Number(plus) } };
  }
  const days = when.split(",").map((word) => weekdays.find((one) => one === word));
  const named = days.flatMap((one) => one ?? wrong("--window", `days such as ${weekdays.join(", ")}`, when));
  return { start, minutes, weekdays: named, monthly: null };
}

/** As `--window` takes it. */
export function windowText({ start, minutes, weekdays: days, monthly }: MaintenanceWindow): string {
  const span = minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
  if (monthly === null) return `${days.length === 0 ? "daily" : days.join(",")} ${start}+${span}`;
  const week = monthly.week === "last" ? "last" : weeks[monthly.week - 1];
  const plus = monthly.plusDays === 0 ? "" : `+${monthly.plusDays}`;
  return `${week} ${monthly.weekday}${plus} ${start}+${span}`;
}

function daysOf(given: string, flag: string): number {
  return /^\d{1,2}$/.test(given) ? Number(given) : wrong(flag, "a number of days", given);
}

function hoursOf(given: string): { from: string; to: string } {
  const [, from, to] = /^(\d\d:\d\d)-(\d\d:\d\d)$/.exec(given) ?? [];
  if (from === undefined || to === undefined) return wrong("--active-hours", "HH:MM-HH:MM", given);
  return { from, to };
}

/** What is absent was not given; null ends it. Throws `usage/arguments`. */
export function timeFields(input: CommandInput) {
  const windows = texts(input, "window");
  const [hours, zone, grace] = [text(input, "activeHours"), text(input, "timeZone"), text(input, "graceDays")];
  const deadline = text(input, "deadlineDays");
  const announce = wholeNumber(input, "announceHours", "--announce-hours");
  const isNone = windows.length === 1 && windows[0] === "none";
  return {
    ...(windows.length === 0 ? {} : { windows: isNone ? [] : windows.map(windowOf) }),
    ...(hours === undefined ? {} : { activeHours: hours === "none" ? null : hoursOf(hours) }),
    ...(zone === undefined ? {} : { timeZone: zone === "none" ? null : zone }),
    ...(deadline === undefined
      ? {}
      : { deadlineDays: deadline === "none" ? null : daysOf(deadline, "--deadline-days") }),
    ...(announce === undefined ? {} : { announceHours: announce }),
    ...(grace === undefined ? {} : { graceDays: daysOf(grace, "--grace-days") }),
  };
}

const sources: Record<PolicyWindows["source"], string> = {
  device: "as the device tells",
  policy: "of the policy",
  utc: "since nobody tells another",
};

export const policyWindows: CommandSpec = {
  name: "policy windows",
  summary: `show the next ${policyLimits.preview} times in which a policy lets hotpatches begin`,
  arguments: [{ name: "<policy>", description: "the id of the policy" }],
  options: [...serverOptions, { flags: "--device <id>", description: "in the time zone of this device" }],
  examples: [{ command: `rebootless policy windows ${exampleId}`, what: "by the clock there, and in UTC" }],
  async run(input, io) {
    const [policyId = ""] = input.arguments;
    const deviceId = text(input, "device");
    const query = deviceId === undefined ? {} : { deviceId };
    const found = await ask(serverOf(input, io), "previewWindows", { params: { policyId }, query });
    const zone = `Time zone: ${printable(found.timeZone)}, ${sources[found.source]}.`;
    if (found.alwaysOpen) return { data: found, text: `${zone}\nOpen at any time.` };
    const rows = found.openings.map((one) => [one.opensAtLocal, one.closesAtLocal, one.opensAt, one.closesAt]);
    const table = textTable(["OPENS", "CLOSES", "OPENS (UTC)", "CLOSES (UTC)"], rows);
    return { data: found, text: `${zone}\n${table}` };
  },
};

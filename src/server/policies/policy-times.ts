/** The columns of a policy that say by when and at which times; what cannot be kept is refused before it is saved. */
import type { PolicyChange } from "../../api/schemas/policies.ts";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import type { Tables } from "../database/tables.ts";
import { nextOpening } from "./windows.ts";
import { isTimeZone } from "./zoned-time.ts";

type Times = Pick<
  Tables["policies"],
  "deadline_days" | "grace_days" | "announce_hours" | "active_hours_json" | "windows_json" | "time_zone"
>;

/** What is absent stays as it was. Throws `request/invalid`. */
export function timesOf(wanted: PolicyChange, before: Times): Times {
  const { deadlineDays, graceDays, announceHours, activeHours, windows, timeZone } = wanted;
  if (typeof timeZone === "string" && !isTimeZone(timeZone)) {
    throw new RebootlessError(
      "request/invalid",
      `There is no time zone ${quoted(timeZone)}; one is named such as Europe/Berlin.`,
    );
  }
  for (const { weekdays, monthly } of windows ?? []) {
    if (weekdays.length > 0 && monthly !== null) {
      throw new RebootlessError("request/invalid", "A window comes on weekdays or once a month; name one of them.");
    }
  }
  const times: Times = {
    deadline_days: deadlineDays === undefined ? before.deadline_days : deadlineDays,
    grace_days: graceDays ?? before.grace_days,
    announce_hours: announceHours ?? before.announce_hours,
    active_hours_json: activeHours === undefined ? before.active_hours_json : stored(activeHours),
    windows_json: windows === undefined ? before.windows_json : JSON.stringify(windows),
    time_zone: timeZone === undefined ? before.time_zone : timeZone,
  };
  const rules = {
    windows: JSON.parse(times.windows_json),
    activeHours: times.active_hours_json === null ? null : JSON.parse(times.active_hours_json),
  };
  // Any instant will do, since the rules repeat by weeks and months.
  if (nextOpening(rules, "UTC", 0) === undefined) {
    throw new RebootlessError("request/invalid", "The active hours leave nothing of the windows open.");
  }
  return times;
}

function stored(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

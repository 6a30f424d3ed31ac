/**
 * When the maintenance windows of a policy are open, as rules without a database.
 *
 * A window begins by the clock of a zone and lasts a span of real time, so that a change of the clock makes none longer or shorter.
 * Active hours begin and end by the clock; within them nothing begins, also where a window is open.
 */
import { type ActiveHours, type MaintenanceWindow, weekdays } from "../../api/schemas/policies.ts";
import { instantOfReading, readingAt } from "./zoned-time.ts";

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
/** Beyond any pause between two occurrences of a window: the last week of a month, and the days after it. */
const horizonDays = 80;
/** Enough for a window that comes each week. */
const nearDays = 9;

export interface WindowRules {
  /** None: open whenever it is not within active hours. */
  readonly windows: readonly MaintenanceWindow[];
  readonly activeHours: ActiveHours | null;
}

export interface Opening {
  readonly opensAtMs: number;
  readonly closesAtMs: number;
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

function minutesOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

/** `day` counts from 1970-01-01, a Thursday. */
function weekdayOf(day: number): (typeof weekdays)[number] | undefined {
  return weekdays[(((day + 3) % 7) + 7) % 7];
}

function occursOn({ weekdays: days, monthly }: MaintenanceWindow, day: number): boolean {
  if (monthly === null) return days.length === 0 || days.some((one) => one === weekdayOf(day));
  const counted = day - monthly.plusDays;
  if (weekdayOf(counted) !== monthly.weekday) return false;
  const date = new Date(counted * dayMs);
  const isLast = new Date((counted + 7) * dayMs).getUTCMonth() !== date.getUTCMonth();
  return monthly.week === "last" ? isLast : Math.ceil(date.getUTCDate() / 7) === monthly.week;
}

function merged(openings: readonly Opening[]): Opening[] {
  const result: Opening[] = [];
  for (const one of openings.toSorted((a, b) => a.opensAtMs - b.opensAtMs)) {
    const last = result.at(-1);
    if (last === undefined || last.closesAtMs < one.opensAtMs) result.push(one);
    else result[result.length - 1] = { ...last, closesAtMs: Math.max(last.closesAtMs, one.closesAtMs) };
  }
  return result;
}

function without(openings: readonly Opening[], shut: Opening): Opening[] {
  return openings.flatMap((one) => {
    if (shut.closesAtMs <= one.opensAtMs || shut.opensAtMs >= one.closesAtMs) return [one];
    const before = { opensAtMs: one.opensAtMs, closesAtMs: shut.opensAtMs };
    const after = { opensAtMs: shut.closesAtMs, closesAtMs: one.closesAtMs };
    return [before, after].filter(({ opensAtMs, closesAtMs }) => opensAtMs < closesAtMs);
  });
}

/** All that is open within a span, in order, the first and the last with their ends where they lie outside of it by up to a day. */
export function openingsWithin({ windows, activeHours }: WindowRules, zone: string, span: Span): Opening[] {
  const firstDay = Math.floor(readingAt(zone, span.fromMs) / dayMs) - 2;
  const lastDay = Math.floor(readingAt(zone, span.untilMs) / dayMs) + 1;
  const found: Opening[] = [];
  const shut: Opening[] = [];
  for (let day = firstDay; day <= lastDay; day += 1) {
    const at = (time: string, plusDays = 0) =>
      instantOfReading(zone, (day + plusDays) * dayMs + minutesOf(time) * minuteMs);
    for (const window of windows) {
      if (!occursOn(window, day)) continue;
      const opensAtMs = at(window.start);
      found.push({ opensAtMs, closesAtMs: opensAtMs + window.minutes * minuteMs });
    }
    if (activeHours === null) continue;
    const { from, to } = activeHours;
    shut.push({ opensAtMs: at(from), closesAtMs: at(to, to <= from ? 1 : 0) });
  }
  const always = { opensAtMs: span.fromMs - dayMs, closesAtMs: span.untilMs };
  let open = merged(windows.length === 0 ? [always] : found);
  for (const hours of shut) open = without(open, hours);
  return open.filter(({ opensAtMs, closesAtMs }) => closesAtMs > span.fromMs && opensAtMs < span.untilMs);
}

export function hasWindows({ windows, activeHours }: WindowRules): boolean {
  return windows.length > 0 || activeHours !== null;
}

/** The opening that is under way or comes next; undefined where there is none for months. */
export function nextOpening(rules: WindowRules, zone: string, nowMs: number): Opening | undefined {
  for (const days of [nearDays, horizonDays]) {
    const [first] = openingsWithin(rules, zone, { fromMs: nowMs, untilMs: nowMs + days * dayMs });
    if (first !== undefined) return first;
  }
  return undefined;
}

/** The next ones, that under way included; fewer where the rules seldom open. */
export function nextOpenings(rules: WindowRules, zone: string, { nowMs, count }: { nowMs: number; count: number }) {
  const span = { fromMs: nowMs, untilMs: nowMs + count * horizonDays * dayMs };
  return openingsWithin(rules, zone, span).slice(0, count);
}

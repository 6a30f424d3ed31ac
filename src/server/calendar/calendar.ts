/**
 * The servicing calendar, worked out from what is published: pure rules, no clock.
 *
 * Baselines in January, April, July and October, hotpatches in the months between; what is not published yet is planned.
 */
import type { Baseline, CalendarRow } from "../../api/schemas/catalog.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";

const baselineMonths: readonly number[] = [1, 4, 7, 10];

/** `month` is written as `2026-11`. */
export function isBaselineMonth(month: string): boolean {
  return baselineMonths.includes(Number(month.slice(5)));
}

export function monthAfter(month: string, months = 1): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const index = year * 12 + (number - 1) + months;
  return `${String(Math.floor(index / 12)).padStart(4, "0")}-${String((index % 12) + 1).padStart(2, "0")}`;
}

/** The first baseline month behind this one. */
export function nextBaselineMonth(month: string): string {
  let next = monthAfter(month);
  while (!isBaselineMonth(next)) next = monthAfter(next);
  return next;
}

/** When a month begins, in milliseconds since 1970 UTC. */
export function beginOf(month: string): number {
  return Date.parse(`${month}-01T00:00:00Z`);
}

type Released = Pick<Hotpatch | Baseline, "id" | "title" | "release">;

/** As the model prints it: B of the month, B* where a hotpatch was planned, OOB out of band. */
function updateTypeOf({ release }: Released, { isUnplanned }: { readonly isUnplanned: boolean }): string {
  const name = String(release.month).replace("-", ".");
  if (release.cadence === "outOfBand") return `${name} OOB`;
  return `${name} B${isUnplanned ? "*" : ""}`;
}

function rowOf(entry: Released, kind: "baseline" | "hotpatch", isUnplanned: boolean): CalendarRow {
  const { id, title, release } = entry;
  return {
    month: release.month ?? "",
    updateType: updateTypeOf(entry, { isUnplanned }),
    // A restart is what an administrator plans for, whatever the file is.
    type: kind === "baseline" && release.restart === "required" ? "Baseline (Restart)" : "Hotpatch",
    availableAt: release.availableAt,
    build: release.build,
    id,
    title,
    stage: release.stage,
    track: release.track,
  };
}

function planned(month: string): CalendarRow {
  return {
    month,
    updateType: `${month.replace("-", ".")} B`,
    type: isBaselineMonth(month) ? "Baseline (Restart)" : "Hotpatch",
    ...{ availableAt: null, build: null, id: null, title: null, stage: null, track: null },
  };
}

export interface CalendarAsked {
  readonly from: string;
  readonly months: number;
  /** The month that it is: what was not released before it never will be, and is not planned any more. */
  readonly present: string;
}

/** Rows by month, baselines first, then by day and id. */
export function calendarRows(
  { hotpatches, baselines }: { readonly hotpatches: readonly Released[]; readonly baselines: readonly Baseline[] },
  { from, months, present }: CalendarAsked,
): CalendarRow[] {
  const rows: CalendarRow[] = [];
  for (let index = 0; index < months; index += 1) {
    const month = monthAfter(from, index);
    const isOf = ({ release }: Released) => release.month === month;
    const released = [
      ...baselines.filter(isOf).map((one) => rowOf(one, "baseline", one.unplanned && !isBaselineMonth(month))),
      ...hotpatches.filter(isOf).map((one) => rowOf(one, "hotpatch", false)),
    ];
    const hasMonthly = released.some(({ updateType }) => !updateType.endsWith("OOB"));
    if (!hasMonthly && month >= present) rows.push(planned(month));
    rows.push(...released.sort(inOrder));
  }
  return rows;
}

function inOrder(left: CalendarRow, right: CalendarRow): number {
  const key = ({ type, availableAt, id }: CalendarRow) => [type, availableAt ?? "", id].join(" ");
  return key(left) < key(right) ? -1 : 1;
}

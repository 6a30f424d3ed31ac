/**
 * The one way in which actions are made and change their states, many at a time, each with its event.
 *
 * Every change of a state goes through the table of state-machine.ts.
 */
import type { ProcessOutcome } from "../../api/schemas/actions.ts";
import { RefusalError } from "../../base/refusal.ts";
import { type Change, instant, newId, type ServerContext } from "../context.ts";
import type { Tables } from "../database/tables.ts";
import { type ActionEvent, next, wantedAfter } from "./state-machine.ts";

export type ActionRow = Tables["actions"];

export interface Step {
  readonly row: ActionRow;
  readonly event: ActionEvent;
  readonly reason: string;
  /** Goes into the event of the record. */
  readonly told?: Record<string, unknown>;
  /** Takes the place of what was known of them before. */
  readonly processes?: readonly ProcessOutcome[] | undefined;
}

/** Processes that the event of a report keeps the outcome of; those that need a person come first in a report. */
const eventProcesses = 50;

/** Rows of one statement, below what both databases take. */
const rowsAtOnce = 1_000;

/** Moves actions by events; a later step of one action begins where the one before it ends. Refuses with `action/transition`, and then moves none. */
export async function steps(under: Change, taken: readonly Step[]): Promise<ActionRow[]> {
  const last = new Map<string, ActionRow>();
  const changed = taken.map((step) => {
    const row = moved({ ...step, row: last.get(step.row.id) ?? step.row }, under.now);
    last.set(row.id, row);
    return row;
  });
  under.touch(...changed.map(({ device_id }) => device_id));
  const rows = [...last.values()];
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await under.db
      .insertInto("actions")
      .values(rows.slice(from, from + rowsAtOnce))
      // They are there: this is an update of many rows by one statement.
      .onConflict((conflict) =>
        conflict.column("id").doUpdateSet((is) => ({
          state: is.ref("excluded.state"),
          reason: is.ref("excluded.reason"),
          wanted: is.ref("excluded.wanted"),
          processes_json: is.ref("excluded.processes_json"),
          changed_at: is.ref("excluded.changed_at"),
          times_json: is.ref("excluded.times_json"),
          taken_back_by: is.ref("excluded.taken_back_by"),
        })),
      )
      .execute();
  }
  for (const [index, { row, event, reason, told, processes }] of taken.entries()) {
    await under.note("action-changed", `action:${row.id}`, {
      deviceId: row.device_id,
      hotpatchId: row.hotpatch_id,
      event,
      from: row.state,
      to: changed[index]?.state,
      ...(reason === "" ? {} : { reason }),
      ...told,
      ...(processes === undefined ? {} : { processes: processes.slice(0, eventProcesses) }),
    });
  }
  return changed;
}

/** As `steps`, of one. */
export async function step(under: Change, taken: Step): Promise<ActionRow> {
  const [changed = taken.row] = await steps(under, [taken]);
  return changed;
}

/** The action as a step leaves it. Refuses with `action/transition`. */
export function moved({ row, event, reason, processes }: Step, now: number): ActionRow {
  const transition = next(row.state, event);
  if (transition.kind === "refused") throw new RefusalError(transition.refusal);
  const { state } = transition;
  return {
    ...row,
    state,
    reason,
    wanted: wantedAfter[event] ?? (state === "reverting" ? "reverted" : row.wanted),
    processes_json: processes === undefined ? row.processes_json : JSON.stringify(processes),
    changed_at: now,
    times_json: JSON.stringify({ ...JSON.parse(row.times_json), [state]: instant(now) }),
    taken_back_by: takenBackBy(row, event),
  };
}

/** An agent that begins to take back what is still to be in place does so because its guard found it unwell. */
function takenBackBy({ wanted, taken_back_by }: ActionRow, event: ActionEvent): ActionRow["taken_back_by"] {
  if (event === "offer") return null;
  if (event === "revert" || event === "withdraw") return "person";
  return event === "revert-started" && wanted === "applied" ? "guard" : taken_back_by;
}

/** Offers hotpatches to devices that have no action for them. */
export async function newActions(
  under: Change,
  random: ServerContext["random"],
  offered: readonly { readonly deviceId: string; readonly hotpatchId: string }[],
): Promise<void> {
  const { db, now } = under;
  const times_json = JSON.stringify({ offered: instant(now) });
  const rows: ActionRow[] = offered.map(({ deviceId, hotpatchId }) => ({
    ...{ id: newId(random), device_id: deviceId, hotpatch_id: hotpatchId, wanted: "applied", state: "offered" },
    ...{ reason: "", created_at: now, changed_at: now, times_json, processes_json: "[]", taken_back_by: null },
  }));
  under.touch(...rows.map(({ device_id }) => device_id));
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await db
      .insertInto("actions")
      .values(rows.slice(from, from + rowsAtOnce))
      .execute();
  }
  for (const { id, device_id: deviceId, hotpatch_id: hotpatchId } of rows) {
    await under.note("action-offered", `action:${id}`, { deviceId, hotpatchId });
  }
}

/**
 * How events get their numbers, and hang on each other.
 *
 * Invariant: numbers have no gaps, and who sees a number sees all lower ones; the row of the counter is locked from the numbering to the end of the transaction, so that numbers are in the order of commit.
 */
import { linkOf } from "../../api/event-chain.ts";
import type { By } from "../../api/schemas/access.ts";
import type { EventKind } from "../../api/schemas/events.ts";
import { RebootlessError } from "../../base/errors.ts";
import type { Database } from "../database/tables.ts";

export interface NewEvent {
  readonly kind: EventKind;
  readonly subject: string;
  readonly data: Record<string, unknown>;
}

/** Rows of one statement; both databases bound how many values one may have. */
const rowsAtOnce = 500;

/** To be called last in a transaction: from here on, every other one that has events waits. */
export async function appendEvents(
  db: Database,
  { at, by }: { at: number; by: By },
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const { value: newest, link: head } = await db
    .updateTable("counters")
    .set((column) => ({ value: column("value", "+", events.length) }))
    .where("name", "=", "events")
    .returning(["value", "link"])
    .executeTakeFirstOrThrow(
      () => new RebootlessError("server/state-damaged", "The database has lost the counter of its events."),
    );
  const first = newest - events.length + 1;
  let link = head;
  const by_json = JSON.stringify(by, wellFormed);
  const rows = events.map(({ kind, subject, data }, index) => {
    const sequence = first + index;
    const data_json = JSON.stringify(data, wellFormed);
    const told = { kind, subject, data: JSON.parse(data_json), by: JSON.parse(by_json) };
    link = linkOf(link, { sequence, at: new Date(at).toISOString(), ...told });
    return { sequence, at, kind, subject, data_json, link, by_json };
  });
  await db.updateTable("counters").set({ link }).where("name", "=", "events").execute();
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await db
      .insertInto("events")
      .values(rows.slice(from, from + rowsAtOnce))
      .execute();
  }
}

/** Half a surrogate pair, which a device may send, has no canonical form. */
function wellFormed(_name: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}

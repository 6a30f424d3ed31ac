/** What a filter would find, before it is saved. */
import type { Static } from "typebox";
import type { Preview, PreviewRequest } from "../../api/schemas/groups.ts";
import { compileFilter } from "../../cel/compile-filter.ts";
import type { Reach } from "../access/reach.ts";
import type { Database } from "../database/tables.ts";
import { requireGroup } from "./groups.ts";
import { outcomes } from "./matching.ts";

const shownExamples = 10;

/** Goes through all devices within reach. Throws `request/filter` and `request/not-found`. */
export async function previewFilter(
  db: Database,
  { filter: text, groupId }: Static<typeof PreviewRequest>,
  reach: Reach,
): Promise<Preview> {
  const filter = compileFilter(text, "group");
  if (groupId !== undefined) await requireGroup(db, groupId);
  const before = new Set(
    groupId === undefined
      ? []
      : (await db.selectFrom("group_own").select("device_id").where("group_id", "=", groupId).execute()).map(
          ({ device_id }) => device_id,
        ),
  );
  const counts = { devices: 0, matching: 0, open: 0 };
  const examples: Preview["examples"] = [];
  const lacking = new Map<string, number>();
  let staying = 0;
  for await (const { device, outcome } of outcomes(db, filter, reach)) {
    const { id, name, state } = device.row;
    if (state !== "enrolled") continue;
    counts.devices += 1;
    if (outcome.kind === "holds") {
      counts.matching += 1;
      if (before.has(id)) staying += 1;
      if (examples.length < shownExamples) examples.push({ id, name });
    }
    if (outcome.kind !== "unknown") continue;
    counts.open += 1;
    for (const fact of outcome.missing) lacking.set(fact, (lacking.get(fact) ?? 0) + 1);
  }
  return {
    ...counts,
    lacking: [...lacking]
      .map(([fact, devices]) => ({ fact, devices }))
      .toSorted((a, b) => b.devices - a.devices || (a.fact < b.fact ? -1 : 1)),
    examples,
    ...(groupId === undefined ? {} : { joining: counts.matching - staying, leaving: before.size - staying }),
  };
}

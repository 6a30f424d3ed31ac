/** What a change would do: the answer to a request with the header `Dry-Run: ?1`. */
import { type Static, Type } from "typebox";
import { record, words } from "./basics.ts";
import { eventKinds } from "./events.ts";

export const dryRunMediaType = "application/vnd.rebootless.dry-run+json";
/** Of one answer. */
export const dryRunEvents = 200;

export const DryRun = record(
  {
    /** What the request would be answered with; absent where it has no body. */
    answer: Type.Optional(Type.Unknown()),
    /** The first of what would be recorded, in order. */
    events: Type.Array(
      record({
        kind: words(eventKinds),
        subject: Type.String(),
        data: Type.Record(Type.String(), Type.Unknown()),
      }),
      { maxItems: dryRunEvents },
    ),
    /** How many events there would be in all. */
    eventCount: Type.Integer({ minimum: 0 }),
  },
  { $id: "DryRun" },
);
export type DryRun = Static<typeof DryRun>;

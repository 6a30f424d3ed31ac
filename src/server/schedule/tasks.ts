/** The list of all tasks, in the order in which a tick does them; a part of the server adds its own here. */
import { arrivals } from "../approvals/arrivals.ts";
import { endsOfRequests } from "../four-eyes/expiry.ts";
import { endsOfKeys } from "../http/idempotency.ts";
import { endsOfBlocks } from "../offers/ends-of-blocks.ts";
import { announcements } from "../policies/announcements.ts";
import { rolloutLooks } from "../rollouts/follow-rollouts.ts";
import type { ScheduledTask } from "./task.ts";

export const scheduledTasks: readonly ScheduledTask[] = [
  arrivals,
  endsOfRequests,
  endsOfBlocks,
  rolloutLooks,
  announcements,
  endsOfKeys,
];

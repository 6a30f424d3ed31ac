/** Asking for four eyes, and asking for them no longer. */
import type { FourEyes } from "../../api/schemas/four-eyes.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { administrators } from "../access/people.ts";
import { followDecisions } from "../approvals/follow-decisions.ts";
import { change, instant, type ServerContext } from "../context.ts";
import type { Database, Tables } from "../database/tables.ts";
import { requireGroup } from "../groups/groups.ts";
import { requirePolicy } from "../policies/policies.ts";
import { confirmWhatStands } from "./confirmed.ts";

function shown({ kind, subject, reason, created_at, created_by }: Tables["four_eyes"]): FourEyes {
  return { kind, subject, reason, createdAt: instant(created_at), createdBy: created_by };
}

export async function listFourEyes(db: Database): Promise<FourEyes[]> {
  const rows = await db.selectFrom("four_eyes").selectAll().orderBy("kind").orderBy("subject").execute();
  return rows.map(shown);
}

export interface Requirement {
  readonly kind: FourEyes["kind"];
  readonly subject: string;
}

/** Refuses with `approval/too-few-people`, since nobody could ever end it; throws `request/not-found`. */
export async function requireFourEyes(
  context: ServerContext,
  { kind, subject }: Requirement,
  { reason, by }: { readonly reason: string; readonly by: string },
): Promise<FourEyes> {
  return await change(context, async (under) => {
    if (kind === "group") await requireGroup(under.db, subject);
    else await requirePolicy(under.db, subject);
    if ((await administrators(under.db)).length < 2) {
      refuse("approval/too-few-people", "Four eyes take two enabled administrators of the whole fleet; add another.");
    }
    const row = { kind, subject, reason, created_at: under.now, created_by: by };
    const { numInsertedOrUpdatedRows } = await under.db
      .insertInto("four_eyes")
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows === 1n) {
      await confirmWhatStands(under);
      await under.note("four-eyes-required", `${kind}:${subject}`, { reason });
    }
    const kept = await find(under.db, { kind, subject });
    return shown(kept ?? row);
  });
}

/** Throws `request/not-found`. */
export async function releaseFourEyes(context: ServerContext, requirement: Requirement): Promise<void> {
  const { kind, subject } = requirement;
  await change(context, async (under) => {
    if ((await find(under.db, requirement)) === undefined) {
      throw new RebootlessError("request/not-found", `Nothing asks for four eyes of the ${kind} ${subject}.`);
    }
    await under.db.deleteFrom("four_eyes").where("kind", "=", kind).where("subject", "=", subject).execute();
    await under.note("four-eyes-released", `${kind}:${subject}`);
    const rows = await under.db
      .selectFrom("offer_blocks")
      .select("hotpatch_id")
      .distinct()
      .where("code", "=", "approval/second-person")
      .execute();
    for (const { hotpatch_id: hotpatchId } of rows) await followDecisions(under, context.random, { hotpatchId });
  });
}

async function find(db: Database, { kind, subject }: Requirement): Promise<Tables["four_eyes"] | undefined> {
  return await db
    .selectFrom("four_eyes")
    .selectAll()
    .where("kind", "=", kind)
    .where("subject", "=", subject)
    .executeTakeFirst();
}

/** Declined hotpatches: by a person, or since a newer one supersedes them. */
import type { ApprovalSettings, Declined } from "../../api/schemas/approvals.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { RebootlessError } from "../../base/errors.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { followDecisions } from "./follow-decisions.ts";
import { refreshDecisions } from "./group-decisions.ts";

type Row = Tables["declined_hotpatches"];

function shown(row: Row): Declined {
  return {
    hotpatchId: row.hotpatch_id,
    source: row.source,
    reason: row.reason,
    createdAt: instant(row.created_at),
    createdBy: row.created_by,
  };
}

export async function listDeclined(db: Database, asked: PageAsked): Promise<Page<Declined>> {
  const { after, rows } = pageBounds(asked);
  const found = await db
    .selectFrom("declined_hotpatches")
    .selectAll()
    .where("hotpatch_id", ">", after)
    .orderBy("hotpatch_id")
    .limit(rows)
    .execute();
  return pageFrom(
    found.map((row) => ({ ...row, id: row.hotpatch_id })),
    asked,
    shown,
  );
}

/** What is in place stays. Refuses with `catalog/hotpatch-unknown` and as the catalog does. */
export async function declineHotpatch(
  context: ServerContext,
  hotpatchId: string,
  { reason, by }: { reason: string; by: string },
): Promise<Declined> {
  await requireHotpatch(context.catalog, hotpatchId);
  return await change(context, async (under) => {
    const row: Row = {
      ...{ hotpatch_id: hotpatchId, source: "person", reason, created_at: under.now, created_by: by },
    };
    await decline(under, context.random, row);
    return shown(row);
  });
}

async function decline(under: Change, random: ServerContext["random"], row: Row): Promise<void> {
  const { hotpatch_id: hotpatchId, source, reason } = row;
  await under.db
    .insertInto("declined_hotpatches")
    .values(row)
    .onConflict((conflict) => conflict.column("hotpatch_id").doUpdateSet(row))
    .execute();
  await under.note("hotpatch-declined", `hotpatch:${hotpatchId}`, { source, reason });
  await refreshDecisions(under.db, { hotpatchId });
  await followDecisions(under, random, { hotpatchId });
}

/** Its approvals are in force again. Throws `request/not-found`. */
export async function undoDecline(context: ServerContext, hotpatchId: string): Promise<void> {
  await change(context, async (under) => {
    const gone = await under.db
      .deleteFrom("declined_hotpatches")
      .where("hotpatch_id", "=", hotpatchId)
      .executeTakeFirst();
    if (gone.numDeletedRows === 0n) {
      throw new RebootlessError("request/not-found", `${hotpatchId} is not declined.`);
    }
    await under.note("hotpatch-undeclined", `hotpatch:${hotpatchId}`);
    await refreshDecisions(under.db, { hotpatchId });
    await followDecisions(under, context.random, { hotpatchId });
  });
}

const settingName = "approvals";

export async function approvalSettings(db: Database): Promise<ApprovalSettings> {
  const row = await db.selectFrom("settings").select("value").where("name", "=", settingName).executeTakeFirst();
  return row === undefined ? { superseded: "keep" } : JSON.parse(row.value);
}

export async function changeApprovalSettings(
  context: ServerContext,
  wanted: ApprovalSettings,
): Promise<ApprovalSettings> {
  return await change(context, async (under) => {
    const row = { name: settingName, value: JSON.stringify(wanted) } as const;
    await under.db
      .insertInto("settings")
      .values(row)
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ value: row.value }))
      .execute();
    await under.note("setting-changed", "server", { setting: settingName, ...wanted });
    return wanted;
  });
}

/** After an approval for installation: by the setting, what that hotpatch supersedes is declined. */
export async function declineSuperseded(
  under: Change,
  random: ServerContext["random"],
  hotpatchId: string,
): Promise<void> {
  const { db, now } = under;
  if ((await approvalSettings(db)).superseded === "keep") return;
  const newer = await db
    .selectFrom("known_hotpatches")
    .select("facts_json")
    .where("id", "=", hotpatchId)
    .executeTakeFirst();
  if (newer === undefined) return;
  const { supersedes }: Hotpatch = JSON.parse(newer.facts_json);
  const known = await db
    .selectFrom("declined_hotpatches")
    .select("hotpatch_id")
    .where("hotpatch_id", "in", supersedes)
    .execute();
  const declined = new Set(known.map((row) => row.hotpatch_id));
  for (const older of supersedes.filter((id) => !declined.has(id))) {
    const reason = `superseded by ${hotpatchId}, which is approved`;
    await decline(under, random, {
      ...{ hotpatch_id: older, source: "superseded", reason, created_at: now, created_by: "setting" },
    });
  }
}

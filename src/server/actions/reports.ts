/** What agents tell of their actions, each report counting once. */
import { createHash } from "node:crypto";
import { apiLimits } from "../../api/api-limits.ts";
import type { Action, Report, ReportAnswers } from "../../api/schemas/actions.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { type Refusal, RefusalError } from "../../base/refusal.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import { offerTo } from "../offers/offers.ts";
import { shownAction } from "./actions.ts";
import { settledStates } from "./state-machine.ts";
import { type ActionRow, moved, type Step, steps } from "./steps.ts";

/**
 * The same report under the same key counts once.
 * Refuses with `action/transition`, or `report/key-reused` for another report under a known key; throws `request/not-found`.
 */
export async function takeReport(context: ServerContext, deviceId: string, report: Report): Promise<Action> {
  const [taken] = await takeAll(context, deviceId, [report]);
  if (taken === undefined || taken instanceof Error) throw taken;
  return shownAction(taken);
}

/** As `takeReport` of each in turn, in one change; what is declined is an answer, and keeps the others from nothing. */
export async function takeReports(
  context: ServerContext,
  deviceId: string,
  reports: readonly Report[],
): Promise<ReportAnswers> {
  const taken = await takeAll(context, deviceId, reports);
  return {
    answers: taken.map((one) => {
      if (!(one instanceof Error)) return { changedAt: instant(one.changed_at) };
      const declined = one instanceof RefusalError ? (one.refusals[0]?.code ?? "") : one.code;
      return { declined, reason: one.message };
    }),
  };
}

type Declined = RefusalError | RebootlessError;

async function takeAll(
  context: ServerContext,
  deviceId: string,
  reports: readonly Report[],
): Promise<(ActionRow | Declined)[]> {
  const keyed = reports.map((report) => ({
    report,
    digest: createHash("sha256").update(canonicalJson(report)).digest(),
  }));
  const take = async (under: Change) => {
    const desk = new Desk(await actionsOf(under, deviceId, reports), await knownKeys(under, deviceId, reports));
    const answers = keyed.map(({ report, digest }) => desk.take(report, digest, under.now));
    if (desk.steps.length === 0) return answers;
    const changed = await steps(under, desk.steps);
    // What was taken back for a decision may be offered again, or says what keeps it off.
    for (const { hotpatch_id: hotpatchId, state } of changed) {
      if (state === "reverted") await offerTo(under, context.random, { hotpatchId, deviceIds: [deviceId] });
    }
    await remember(under, deviceId, desk.fresh);
    // What the agent did may be more work for it, as when it applied what had been withdrawn.
    if (desk.hasNewWork) await under.reassign(deviceId);
    return answers;
  };
  return await change(context, take, { deviceId });
}

const keyReused: Refusal = {
  code: "report/key-reused",
  message: "Another report came under this key before; give each report a key of its own.",
};

/** Takes reports one after the other, in memory. */
class Desk {
  readonly steps: Step[] = [];
  /** What is to be remembered. */
  readonly fresh: { readonly key: string; readonly digest: Buffer }[] = [];
  hasNewWork = false;
  readonly #actions: Map<string, ActionRow>;
  readonly #known: Map<string, Buffer>;

  constructor(actions: Map<string, ActionRow>, known: Map<string, Buffer>) {
    this.#actions = actions;
    this.#known = known;
  }

  /** The action as the report leaves it, or why it is declined. */
  take(
    { key, actionId, event, reason = "", processes, at }: Report,
    digest: Buffer,
    now: number,
  ): ActionRow | Declined {
    const row = this.#actions.get(actionId);
    if (row === undefined) return new RebootlessError("request/not-found", `There is no action ${actionId}.`);
    const known = this.#known.get(key);
    if (known !== undefined) return digest.equals(known) ? row : new RefusalError(keyReused);
    const told = at === undefined ? {} : { deviceTime: at };
    const step = { row, event, reason, told, processes };
    const changed = movedOrDeclined(step, now);
    if (changed instanceof RefusalError) return changed;
    this.steps.push(step);
    this.fresh.push({ key, digest });
    this.#known.set(key, digest);
    this.#actions.set(actionId, changed);
    if (settledStates.has(row.state) && !settledStates.has(changed.state)) this.hasNewWork = true;
    return changed;
  }
}

function movedOrDeclined(step: Step, now: number): ActionRow | RefusalError {
  try {
    return moved(step, now);
  } catch (error) {
    if (error instanceof RefusalError) return error;
    throw error;
  }
}

/** Only the device's own: an agent learns nothing of the actions of others, not even that they exist. */
async function actionsOf(
  { db }: Change,
  deviceId: string,
  reports: readonly Report[],
): Promise<Map<string, ActionRow>> {
  const ids = [...new Set(reports.map(({ actionId }) => actionId))];
  const rows = await db
    .selectFrom("actions")
    .selectAll()
    .where("device_id", "=", deviceId)
    .where("id", "in", ids)
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

async function knownKeys({ db }: Change, deviceId: string, reports: readonly Report[]): Promise<Map<string, Buffer>> {
  const keys = reports.map(({ key }) => key);
  const rows = await db
    .selectFrom("reports")
    .select(["key", "digest"])
    .where("device_id", "=", deviceId)
    .where("key", "in", keys)
    .execute();
  return new Map(rows.map(({ key, digest }) => [key, Buffer.from(digest)]));
}

async function remember(
  { db }: Change,
  deviceId: string,
  fresh: readonly { readonly key: string; readonly digest: Buffer }[],
): Promise<void> {
  await db
    .insertInto("reports")
    .values(fresh.map((report) => ({ device_id: deviceId, ...report })))
    .execute();
  await db
    .deleteFrom("reports")
    .where("device_id", "=", deviceId)
    .where("sequence", "<=", (reports) =>
      reports
        .selectFrom("reports")
        .select("sequence")
        .where("device_id", "=", deviceId)
        .orderBy("sequence", "desc")
        .limit(1)
        .offset(apiLimits.reportsRemembered),
    )
    .execute();
}

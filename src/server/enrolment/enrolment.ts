/** How a machine becomes a device, and keeps its certificate fresh. */
import { timingSafeEqual } from "node:crypto";
import type { Static } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import type { Enrolment, EnrolmentRequest, EnrolmentToken, TokenRequest } from "../../api/schemas/enrolment.ts";
import { refuse } from "../../base/refusal.ts";
import { requireGroupInReach, wholeFleet } from "../access/reach.ts";
import { keyOfRequest } from "../authority/authority.ts";
import { change, instant, newId, type ServerContext } from "../context.ts";
import { findWord, forgetOldWords, mintWord, refuseWord } from "../credentials/one-time-words.ts";
import { requireGroup } from "../groups/groups.ts";
import { placeDevice } from "../groups/membership.ts";

const minuteMs = 60_000;
const defaultTokenMinutes = 60;

/** `ID.SECRET.AUTHORITY`, where AUTHORITY is the SHA-256 of the authority's certificate. Throws `request/not-found` for an unknown group. */
export async function makeToken(
  context: ServerContext,
  { minutes, groupId }: Static<typeof TokenRequest>,
): Promise<Static<typeof EnrolmentToken>> {
  // A device that joins no group within reach would be a device for others.
  requireGroupInReach(context.reach, groupId ?? wholeFleet);
  return await change(context, async ({ db, now, note }) => {
    await forgetOldWords(db, now);
    if (groupId !== undefined && (await requireGroup(db, groupId)).kind === "dynamic") {
      refuse(
        "group/dynamic",
        `The devices of ${groupId} are those that its filter finds; a token cannot put one there.`,
      );
    }
    const expiresAt = now + Math.min(minutes ?? defaultTokenMinutes, apiLimits.tokenMinutes) * minuteMs;
    const wanted = { purpose: "enrolment" as const, expiresAt };
    const word = await mintWord(db, context.random, groupId === undefined ? wanted : { ...wanted, groupId });
    await note("token-made", "server", { id: word.split(".")[0], expiresAt: instant(expiresAt) });
    return { token: `${word}.${context.authority.sha256.toString("base64url")}`, expiresAt: instant(expiresAt) };
  });
}

/**
 * Exchanges a token for a device and its certificate.
 * The token works once; the machine that used it may ask again with the same key until the token expires, since the first answer may have been lost on the way.
 * Refuses with `access/token-invalid` or `enrolment/request-invalid`.
 */
export async function enrol(
  context: ServerContext,
  { token, name, certificateRequest }: Static<typeof EnrolmentRequest>,
): Promise<Static<typeof Enrolment>> {
  const { keyDigest } = await keyOfRequest(certificateRequest);
  const deviceId = await change(context, async (under) => {
    const { db, now } = under;
    const word = await findWord(db, { word: token, purpose: "enrolment", now });
    if (word.used_at !== null) {
      const same = word.key_digest !== null && timingSafeEqual(word.key_digest, keyDigest);
      if (!same || word.device_id === null) refuseWord("enrolment");
      return word.device_id;
    }
    const id = newId(context.random);
    await db
      .insertInto("devices")
      .values({
        id,
        name,
        state: "enrolled",
        enrolled_at: now,
        last_seen_at: null,
        facts_revision: 0,
        assignment_revision: 1,
      })
      .execute();
    await db
      .updateTable("one_time_words")
      .set({ used_at: now, device_id: id, key_digest: keyDigest })
      .where("id", "=", word.id)
      .execute();
    under.by = { kind: "device", id };
    await under.note("device-enrolled", `device:${id}`, { name, token: word.id });
    for (const groupId of new Set(["all", ...(await groupOfWord(word.group_id, under.db))])) {
      await db.insertInto("group_own").values({ group_id: groupId, device_id: id }).execute();
    }
    await placeDevice(under, context.random, id, "anything");
    return id;
  });
  return await certify(context, deviceId, certificateRequest);
}

/** The group that a token names, unless it was removed since. */
async function groupOfWord(groupId: string | null, db: ServerContext["database"]): Promise<string[]> {
  if (groupId === null) return [];
  const rows = await db
    .selectFrom("groups")
    .select("id")
    .where("id", "=", groupId)
    .where("filter", "is", null)
    .execute();
  return rows.map(({ id }) => id);
}

/** A new certificate for a device that came with one that is still good. Refuses with `enrolment/request-invalid`. */
export async function renewCertificate(
  context: ServerContext,
  deviceId: string,
  certificateRequest: string,
): Promise<Static<typeof Enrolment>> {
  const enrolment = await certify(context, deviceId, certificateRequest);
  await change(context, async ({ note }) => {
    await note("device-renewed", `device:${deviceId}`, { expiresAt: enrolment.expiresAt });
  });
  return enrolment;
}

async function certify(
  { authority }: ServerContext,
  deviceId: string,
  certificateRequest: string,
): Promise<Static<typeof Enrolment>> {
  const { certificate, expiresAt } = await authority.agentCertificate(certificateRequest, deviceId);
  return { deviceId, certificate, authority: authority.certificate, expiresAt: expiresAt.toISOString() };
}

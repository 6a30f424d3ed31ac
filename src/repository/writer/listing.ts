/** The publishers' list as a whole: what stands in it, and how another one takes its place. */
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";
import { type EntryKind, publishersRole, type RoleName, roles, withdrawalPath } from "../layout.ts";
import { readWithdrawal } from "../target-facts.ts";
import { type CatalogState, type TargetJson, targetsOf, unsignedRoles } from "./catalog-state.ts";
import { type Json, type RoleFile, signRole, targetsJson } from "./metadata.ts";
import { chainFiles, nextCommon, type Session, signersOf } from "./session.ts";
import type { Keyring } from "./tuf-keys.ts";

export type StageAnswer = "staged" | "staged-before" | "published-before";

export type Listing = Readonly<Record<string, TargetJson>>;

/**
 * The files that make a changed list visible, signed by the publishers.
 * Refuses with `repository/keys-missing`, with `repository/expired` when no client would accept the result, or with `repository/not-delegated`.
 */
export async function listAnew(
  session: Session,
  keyring: Keyring,
  changed: (listing: Listing) => Listing,
): Promise<RoleFile[]> {
  mustBeAcceptable(session);
  const listing = changed(targetsOf(session.state.publishers));
  mustBeDelegated(session, listing);
  const signers = await signersOf(session, publishersRole, keyring);
  const json = targetsJson(await nextCommon(session, publishersRole), listing as unknown as Json);
  return await chainFiles(session, { publishers: signRole(publishersRole, json, signers) });
}

/** Roles that publishing does not sign anew must be in order, or the work would be for nobody. */
function mustBeAcceptable({ state, now }: Session): void {
  const kept: readonly RoleName[] = roles.filter((role) => role === "root" || role === "targets");
  for (const role of kept) {
    if (Date.parse(state[role].expires) > now.getTime()) continue;
    refuse(
      "repository/expired",
      `${role} expired on ${state[role].expires}, so that no client accepts the catalog; run \`rebootless repo renew ${role}\` with its keys first.`,
      { role, expires: state[role].expires },
    );
  }
  for (const role of unsignedRoles(state)) {
    if (!kept.includes(role)) continue;
    refuse(
      "repository/keys-missing",
      `${role} is not signed by the keys that count now, so that no client accepts the catalog; run \`rebootless repo renew ${role}\` with its keys first.`,
      { role },
    );
  }
}

/** A repository from before there were baselines lets its publishers list hotpatches alone, and a client would not see the rest. */
function mustBeDelegated({ state }: Session, listing: Listing): void {
  const { delegations } = state.targets.json as unknown as {
    readonly delegations?: {
      readonly roles?: readonly { readonly name: string; readonly paths?: readonly string[] }[];
    };
  };
  const paths = delegations?.roles?.find(({ name }) => name === publishersRole)?.paths ?? [];
  const outside = Object.keys(listing).find((name) => !paths.includes(`${name.split("/")[0]}/*`));
  if (outside === undefined) return;
  refuse(
    "repository/not-delegated",
    `targets does not let the publishers list ${outside}; run \`rebootless repo renew targets\` with the keys of targets first.`,
    { path: outside },
  );
}

/** Refuses with `repository/withdrawn`. */
export function mustNotBeWithdrawn(state: CatalogState, kind: EntryKind, id: string): void {
  const note = targetsOf(state.publishers)[withdrawalPath(kind, id)];
  if (note === undefined) return;
  const { at = "an unknown time", reason = "none given" } = readWithdrawal(note.custom) ?? {};
  refuse(
    "repository/withdrawn",
    `${quoted(id)} was withdrawn on ${at} (${quoted(reason)}), and its id is never used again; build the ${kind} with another id.`,
    { id, at, reason },
  );
}

export function idTaken(id: string, digest: string): never {
  refuse(
    "repository/id-taken",
    `The catalog has the id ${quoted(id)} already, for other contents (digest sha256:${digest}). What machines may have applied never changes; build the hotpatch with another id.`,
    { id, digest },
  );
}

/**
 * Sign-in by a provider of OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9700).
 *
 * What a flow needs to end stands in the database under the digest of a secret that the browser alone has, and is good once and for ten minutes; so any of several servers ends it, and nobody ends the flow of somebody else.
 * State, nonce, issuer (RFC 9207), audience and signature are judged by openid-client.
 */
import * as oidc from "openid-client";
import { quoted } from "../../base/printable.ts";
import { refuse } from "../../base/refusal.ts";
import type { PersonRow } from "../access/people.ts";
import { wholeFleet } from "../access/reach.ts";
import { type Change, change, newId, type ServerContext } from "../context.ts";
import { digestOf } from "../credentials/one-time-words.ts";
import type { OidcProvider, OidcSettings } from "./oidc-provider.ts";
import { beginSession, type Origin, type Started } from "./sessions.ts";

const flowMs = 10 * 60 * 1000;
export const flowSeconds = flowMs / 1000;
/** Refuses with `server/no-provider`. */
function requireProvider({ oidc: provider }: ServerContext): OidcProvider {
  if (provider === undefined) refuse("server/no-provider", "This server has no provider of OpenID Connect.");
  return provider;
}

/** Where the browser goes, and the secret of its flow. Refuses with `server/no-provider` and `server/provider-away`. */
export async function beginFlow(
  context: ServerContext,
  redirectUri: string,
): Promise<{ readonly location: string; readonly secret: string }> {
  const configuration = await requireProvider(context).configuration();
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const nonce = oidc.randomNonce();
  const secret = context.random(32).toString("base64url");
  await change(context, async ({ db, now }) => {
    await db.deleteFrom("sign_in_flows").where("expires_at", "<=", now).execute();
    const data_json = JSON.stringify({ verifier, state, nonce } satisfies Flow);
    const row = { digest: digestOf(secret), purpose: "oidc", data_json, expires_at: now + flowMs } as const;
    await db.insertInto("sign_in_flows").values(row).execute();
  });
  const location = oidc.buildAuthorizationUrl(configuration, {
    ...{ redirect_uri: redirectUri, scope: "openid profile email", state, nonce },
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  return { location: location.href, secret };
}

export interface FlowEnd {
  /** The address that the provider sent the browser to, with its query. */
  readonly address: URL;
  /** Of the flow; undefined where the browser has none. */
  readonly secret: string | undefined;
  readonly origin: Origin;
}

/** Refuses with `access/sign-in-expired`, `access/provider-refused`, `access/person-unknown`, `access/person-disabled`, and as `beginFlow`. */
export async function endFlow(context: ServerContext, { address, secret, origin }: FlowEnd): Promise<Started> {
  const provider = requireProvider(context);
  const flow = await takeFlow(context, secret);
  const configuration = await provider.configuration();
  const claims = await claimsOf(configuration, address, flow);
  const name = nameFrom(claims, provider.settings);
  return await change(context, async (under) => {
    const who = { issuer: configuration.serverMetadata().issuer, subject: claims.sub, name };
    const person = await personOf(under, context.random, { who, settings: provider.settings });
    if (person.state === "disabled") {
      refuse("access/person-disabled", "This person is disabled; an administrator can enable him.");
    }
    return await beginSession(under, context.random, { person, method: "oidc", origin });
  });
}

interface Flow {
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
}

/** Good once, whatever comes of it. */
async function takeFlow(context: ServerContext, secret: string | undefined): Promise<Flow> {
  const digest = digestOf(secret ?? "");
  const flow = await change(context, async ({ db, now }) => {
    const row = await db.selectFrom("sign_in_flows").selectAll().where("digest", "=", digest).executeTakeFirst();
    await db.deleteFrom("sign_in_flows").where("digest", "=", digest).execute();
    const isGood = row !== undefined && row.purpose === "oidc" && row.expires_at > now;
    return isGood ? (JSON.parse(row.data_json) as Flow) : undefined;
  });
  if (secret === undefined || flow === undefined) {
    refuse("access/sign-in-expired", "This sign-in was not begun here, has ended, or took too long; begin anew.");
  }
  return flow;
}

type Claims = Readonly<Record<string, unknown>> & { readonly sub: string };

async function claimsOf(configuration: oidc.Configuration, address: URL, flow: Flow): Promise<Claims> {
  const { verifier, state, nonce } = flow;
  try {
    const tokens = await oidc.authorizationCodeGrant(configuration, address, {
      ...{ pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true },
    });
    const told = tokens.claims();
    if (told === undefined) throw new Error("the provider sent no identity");
    if (configuration.serverMetadata().userinfo_endpoint === undefined) return told;
    return { ...(await oidc.fetchUserInfo(configuration, tokens.access_token, told.sub)), ...told };
  } catch (error) {
    if (error instanceof TypeError && error.message === "fetch failed") {
      return refuse("server/provider-away", "The provider does not answer; try again in a while.");
    }
    const said = error instanceof oidc.AuthorizationResponseError ? (error.error_description ?? error.error) : "";
    const why = said !== "" ? said : error instanceof Error ? error.message : String(error);
    return refuse("access/provider-refused", `The provider did not let in: ${why}.`);
  }
}

/** As names are written here: in lower case, and of few characters. */
function nameFrom(claims: Claims, { nameClaim }: OidcSettings): string {
  const told = claims[nameClaim];
  if (typeof told !== "string" || told === "") {
    refuse("access/provider-refused", `The provider did not say ${quoted(nameClaim)}, by which people are known here.`);
  }
  if (nameClaim === "email" && claims.email_verified !== true) {
    refuse("access/provider-refused", "The provider has not verified the address of this person.");
  }
  const name = told.toLowerCase();
  if (!/^[a-z0-9][a-z0-9._@-]{0,62}$/.test(name)) {
    refuse("access/provider-refused", `${quoted(told)} is no name that people can have here.`);
  }
  return name;
}

interface Who {
  readonly issuer: string;
  readonly subject: string;
  readonly name: string;
}

/** By what the provider calls him, which never changes; the first time by his name, where somebody has added him. */
async function personOf(
  { db, now, note }: Change,
  random: ServerContext["random"],
  { who, settings }: { readonly who: Who; readonly settings: OidcSettings },
): Promise<PersonRow> {
  const { issuer, subject, name } = who;
  const known = await db
    .selectFrom("people")
    .selectAll()
    .where("issuer", "=", issuer)
    .where("subject", "=", subject)
    .executeTakeFirst();
  if (known !== undefined) return known;
  const added = await db.selectFrom("people").selectAll().where("name", "=", name).executeTakeFirst();
  if (added !== undefined && added.subject === null) {
    await db.updateTable("people").set({ issuer, subject }).where("id", "=", added.id).execute();
    await note("person-changed", `person:${added.id}`, { name, signsInBy: issuer });
    return { ...added, issuer, subject };
  }
  if (added !== undefined || settings.newPeople === "refuse") {
    refuse(
      "access/person-unknown",
      `Nobody has added ${name} here; an administrator can: \`rebootless user add ${name}\`.`,
    );
  }
  const row: PersonRow = {
    ...{ id: newId(random), name, title: name, state: "enabled", created_at: now, password: null, issuer, subject },
  };
  await db.insertInto("people").values(row).execute();
  await db.insertInto("grants").values({ person_id: row.id, role: "auditor", group_id: wholeFleet }).execute();
  await note("person-added", `person:${row.id}`, { name, signsInBy: issuer, role: "auditor" });
  return row;
}

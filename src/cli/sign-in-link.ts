/** A sign-in link with the authority's digest behind it, and how a command exchanges it for a session. */
import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { request as httpsRequest } from "node:https";
import { RebootlessError } from "../base/errors.ts";
import { declined, parsed, send, sessionIn, textOf } from "./server-request.ts";
import type { NamedServer } from "./server-target.ts";

const silenceMs = 30_000;

interface CommandLink {
  readonly address: string;
  /** The sign-in route with its token. */
  readonly route: string;
  readonly authoritySha256: Buffer;
}

/** The digest stands in the fragment, which never travels (RFC 3986 section 3.5). */
export function linkForCommand(link: string, authoritySha256: string): string {
  return `${link}#authority=${authoritySha256}`;
}

/** Throws `usage/arguments`, without the link, which is a secret. */
export function readLink(text: string): CommandLink {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const digest = Buffer.from(/^#authority=([\w-]{43})$/.exec(url?.hash ?? "")?.[1] ?? "", "base64url");
  if (url?.protocol !== "https:" || url.pathname !== "/v1/sign-in" || digest.length !== 32) {
    throw new RebootlessError(
      "usage/arguments",
      "That is no sign-in link for a command; `rebootless server sign-in-link --for-command` prints one on the server.",
    );
  }
  return { address: url.origin, route: `${url.pathname}${url.search}`, authoritySha256: digest };
}

/** Uses the link up. Throws `server/wrong-authority` before anything secret is sent, or what the server declines with. */
export async function signInByLink(name: string, link: CommandLink): Promise<NamedServer> {
  const authority = await pinnedAuthority(link);
  const before: NamedServer = { name, address: link.address, authority, session: "", expiresAt: "" };
  const { request, response } = await send(before, { method: "GET", address: link.route, silenceMs });
  const text = await textOf(request, response);
  const status = response.statusCode ?? 0;
  if (status !== 303) throw declined(text, status, before);
  const session = sessionIn(response);
  if (session === undefined) throw new RebootlessError("server/answer", "The server's answer has no session in it.");
  const expiresAt = new Date(Date.now() + session.seconds * 1000).toISOString();
  return { ...before, session: session.secret, expiresAt };
}

/** Read without trust in the connection: the digest decides. */
async function pinnedAuthority({ address, authoritySha256 }: CommandLink): Promise<string> {
  const text = await new Promise<string>((resolve, reject) => {
    const options = { rejectUnauthorized: false, timeout: silenceMs, agent: false };
    const request = httpsRequest(new URL("/v1/authority", address), options, (response) => {
      textOf(request, response).then(resolve, reject);
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", (error) =>
      reject(new RebootlessError("server/not-running", `No server answers on ${address}.`, { cause: error })),
    );
    request.end();
  });
  const { certificate } = parsed(text) as { certificate?: unknown };
  const digest = digestOf(String(certificate));
  if (digest === undefined || !timingSafeEqual(digest, authoritySha256)) {
    throw new RebootlessError(
      "server/wrong-authority",
      `What answers on ${address} is not the server that made the link; nothing was sent to it.`,
    );
  }
  return String(certificate);
}

function digestOf(pem: string): Buffer | undefined {
  try {
    return createHash("sha256").update(new X509Certificate(pem).raw).digest();
  } catch {
    // Not a certificate, so not the one that was pinned.
    return undefined;
  }
}

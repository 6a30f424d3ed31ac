/**
 * One request to a server: over the socket in its state folder, or over TLS to a named one.
 *
 * Of a named server only the authority that was pinned when it was added is believed, whatever other authorities the machine trusts.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { errorOfProblem, type Problem } from "../api/problem.ts";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { RefusalError } from "../base/refusal.ts";
import { errnoOf } from "../base/stored-file.ts";
import { localSocket } from "../server/local-socket.ts";
import type { NamedServer, ServerAddress } from "./server-target.ts";

/** As the server's src/server/http/principal.ts calls it. */
export const sessionCookie = "__Host-rebootless-session";
const answerBytes = 64 * 1024 * 1024;

export interface Sent {
  readonly method: string;
  readonly address: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the server may say nothing. */
  readonly silenceMs: number;
}

/** Begins a request, and resolves with the answer's head. Throws `server/not-running` or `server/wrong-authority`. */
export function send(
  target: ServerAddress,
  sent: Sent,
): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  return new Promise((resolve, reject) => {
    const { method, address, body, silenceMs } = sent;
    const headers = { ...(body === undefined ? {} : { "content-type": "application/json" }), ...sent.headers };
    const request =
      typeof target === "string"
        ? httpRequest({ socketPath: localSocket(target), method, path: address, headers, timeout: silenceMs })
        : httpsRequest(new URL(address, target.address), {
            method,
            headers: { ...headers, ...proofOf(target) },
            timeout: silenceMs,
            ca: target.authority,
            minVersion: "TLSv1.3",
            agent: false,
          });
    request.on("response", (response) => resolve({ request, response }));
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", (error) => reject(unreachable(error, target)));
    request.end(body);
  });
}

function proofOf({ token, session, address }: NamedServer): Record<string, string> {
  if (token !== undefined) return { authorization: `Bearer ${token}` };
  return { cookie: `${sessionCookie}=${session}`, origin: address };
}

/** The session that an answer hands over, if it does. */
export function sessionIn({ headers }: IncomingMessage): { secret: string; seconds: number } | undefined {
  const [cookie = ""] = headers["set-cookie"] ?? [];
  const [, secret, seconds] = new RegExp(`^${sessionCookie}=([\\w-]+);.*Max-Age=(\\d+)`).exec(cookie) ?? [];
  return secret === undefined ? undefined : { secret, seconds: Number(seconds) };
}

export async function textOf(request: ClientRequest, response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > answerBytes) request.destroy(new Error("an answer without end"));
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What the server declined with, as if it had been declined here. */
export function declined(text: string, status: number, target: ServerAddress): Error {
  const problem = (text === "" ? {} : parsed(text)) as Partial<Problem>;
  const { code, details = {} } = problem;
  if (code === "access/credentials-missing" && typeof target !== "string" && target.token === undefined) {
    const message = `Your session with the server ${target.name} has ended; have \`rebootless server sign-in-link --for-command\` make a link there, and give it to \`rebootless server add ${target.name}\`.`;
    return new RefusalError({ code, message, details });
  }
  const known = errorOfProblem(problem);
  if (known !== undefined) return known;
  return new RebootlessError("server/answer", `The server answers with status ${status} and no reason.`);
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RebootlessError("server/answer", "The server's answer is not JSON; is it a server of this version?", {
      cause: error,
    });
  }
}

/** OpenSSL's names for a chain that does not end at the pinned authority, and Node's for a name that is not in the certificate. */
const wrongAuthority =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_ALTNAME_INVALID|INVALID_CA)/;

function unreachable(error: Error, target: ServerAddress): RebootlessError {
  const errno = errnoOf(error) ?? "";
  if (typeof target !== "string") {
    if (wrongAuthority.test(errno)) {
      return new RebootlessError(
        "server/wrong-authority",
        `What answers on ${target.address} is not the server that you added as ${quoted(target.name)} (${errno}); nothing was sent to it. If it was set up anew, add it again.`,
        { cause: error },
      );
    }
    return new RebootlessError("server/not-running", `No server answers on ${target.address} (${errno}).`, {
      cause: error,
    });
  }
  const socket = quoted(localSocket(target));
  const message =
    errno === "EACCES"
      ? `You may not use ${socket}; it is its owner's alone.`
      : `No server answers on ${socket}; start it with \`rebootless server run\`, name its state folder with --state, or another server with --server.`;
  return new RebootlessError("server/not-running", message, { cause: error });
}

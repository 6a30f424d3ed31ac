/** Posts a message once: no redirects, no reading of answers, and an end to waiting. */
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { RebootlessError } from "../../base/errors.ts";
import type { Message } from "./message.ts";
import { checkUrl, resolveSafely } from "./safe-address.ts";

/** The specification recommends 15 to 30 seconds. */
const patienceMs = 15_000;

export interface Posted {
  /** Null where there was no answer. */
  readonly status: number | null;
  /** Empty where it was taken. */
  readonly error: string;
}

export interface PostOptions {
  readonly allowPrivate: boolean;
  /** Ends it. */
  readonly gone: AbortSignal;
}

/** Never throws for what is wrong over there. */
export async function post(address: string, message: Message, { allowPrivate, gone }: PostOptions): Promise<Posted> {
  try {
    const url = checkUrl(address, { allowPrivate });
    const { address: ip, family } = await resolveSafely(url, { allowPrivate });
    const status = await send(url, message, { ip, family, gone });
    if (status >= 200 && status < 300) return { status, error: "" };
    return { status, error: status >= 300 && status < 400 ? `it redirects (${status})` : `it answered ${status}` };
  } catch (error) {
    if (gone.aborted) throw error;
    return { status: null, error: error instanceof Error ? error.message.slice(0, 300) : String(error) };
  }
}

interface Where {
  readonly ip: string;
  readonly family: 4 | 6;
  readonly gone: AbortSignal;
}

function send(url: URL, { headers, body }: Message, { ip, family, gone }: Where): Promise<number> {
  const ask = url.protocol === "https:" ? secureRequest : plainRequest;
  const ended = AbortSignal.any([gone, AbortSignal.timeout(patienceMs)]);
  return new Promise((resolve, reject) => {
    const request = ask(url, {
      ...{ method: "POST", headers: { ...headers, "content-length": Buffer.byteLength(body) }, signal: ended },
      ...{ agent: false, family },
      // The address that was judged, whatever the name says by now.
      lookup: (_host, options, answer) => {
        if (options.all === true) answer(null, [{ address: ip, family }]);
        else answer(null, ip, family);
      },
    });
    request.once("response", (response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    request.once("error", (error) => {
      const late = ended.aborted && !gone.aborted;
      reject(late ? new RebootlessError("request/invalid", `no answer within ${patienceMs / 1000} seconds`) : error);
    });
    request.end(body);
  });
}

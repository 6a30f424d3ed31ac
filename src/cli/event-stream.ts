/**
 * A server's events as they happen, each once and in order, over as many connections as it takes.
 *
 * A connection that breaks is made anew from the last event that was handed on; a server that declines ends the following.
 */
import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Event } from "../api/schemas/events.ts";
import { RebootlessError } from "../base/errors.ts";
import { declined, send, textOf } from "./server-request.ts";
import { isTried, type ServerTarget } from "./server-target.ts";

/** The server says something at least every 15 s; three times that is a broken connection. */
const silenceMs = 45_000;
const againMs = 1_000;

export interface FollowOptions {
  readonly after: number;
  /** Told once of each break. */
  onBreak(): void;
}

/** Never ends by itself. Throws what `ask` throws when the first connection cannot be made, and later what the server declines with. */
export async function* eventStream(server: ServerTarget, { after, onBreak }: FollowOptions): AsyncGenerator<Event> {
  let last = after;
  let wasOpen = false;
  let told = false;
  for (;;) {
    try {
      const response = await open(server, last);
      wasOpen = true;
      told = false;
      for await (const event of eventsIn(response)) {
        if (event.sequence <= last) continue;
        last = event.sequence;
        yield event;
      }
    } catch (error) {
      if (!wasOpen || !isBreak(error)) throw error;
    }
    if (!told) onBreak();
    told = true;
    await delay(againMs);
  }
}

function isBreak(error: unknown): boolean {
  return error instanceof RebootlessError && error.code === "server/not-running";
}

async function open(target: ServerTarget, after: number): Promise<IncomingMessage> {
  const address = `/v1/events/stream?after=${after}`;
  const server = isTried(target) ? target.tried : target;
  const { request, response } = await send(server, {
    method: "GET",
    address,
    silenceMs,
  });
  const status = response.statusCode ?? 0;
  if (status !== 200) throw declined(await textOf(request, response), status, server);
  return response;
}

/** Server-sent events (HTML section 9.2.6): what a broken connection leaves unfinished is dropped. */
async function* eventsIn(response: IncomingMessage): AsyncGenerator<Event> {
  let rest = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (data !== undefined) yield JSON.parse(data.slice("data: ".length)) as Event;
      }
    }
  } catch (error) {
    throw new RebootlessError("server/not-running", "The connection to the server broke.", { cause: error });
  }
}

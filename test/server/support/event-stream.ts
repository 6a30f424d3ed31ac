/** The stream of events as a test reads it. */
import { get } from "node:https";
import type { TestContext } from "node:test";
import type { TestServer } from "./running-server.ts";

export interface EventStream {
  /** All that came so far, once this is in it; throws where the stream ends before. */
  until(text: string): Promise<string>;
  /** Resolves once the server has ended the stream in due form. */
  readonly over: Promise<void>;
  end(): void;
}

/** Follows from the first event on, with the headers that prove who asks. */
export async function follow(
  t: TestContext,
  server: TestServer,
  headers: Record<string, string>,
): Promise<EventStream> {
  const { certificate: ca } = server.running.context.authority;
  const opened = Promise.withResolvers<EventStream>();
  const over = Promise.withResolvers<void>();
  // A test that does not wait for the end is not to fail by it.
  over.promise.catch(() => undefined);
  const asked = get(new URL("/v1/events/stream", server.running.address), { ca, agent: false, headers }, (response) => {
    let text = "";
    let ended = false;
    const changed = new Set<() => void>();
    const tell = () => {
      for (const look of [...changed]) look();
    };
    response.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      tell();
    });
    response.once("end", () => over.resolve());
    response.once("error", (error) => over.reject(error));
    response.once("close", () => {
      ended = true;
      tell();
    });
    const until = (wanted: string) =>
      new Promise<string>((resolve, reject) => {
        const look = () => {
          if (text.includes(wanted)) resolve(text);
          else if (ended) reject(new Error(`the stream ended without ${wanted}: ${text}`));
          else return;
          changed.delete(look);
        };
        changed.add(look);
        look();
      });
    if (response.statusCode !== 200) opened.reject(new Error(`the stream answers ${response.statusCode}`));
    opened.resolve({ until, over: over.promise, end: () => asked.destroy() });
  });
  asked.once("error", opened.reject);
  t.after(() => asked.destroy());
  return await opened.promise;
}

/** The sequence numbers of the events that came. */
export function sequencesOf(text: string): number[] {
  return [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
}

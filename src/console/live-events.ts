/**
 * The stream of events as the page follows it, with no gap and no event twice.
 *
 * It begins with the newest events, follows from there, and goes on from the last one that it saw after a break.
 * EventSource connects again by itself after a broken connection; after an answer that declines it does not, and so this does.
 */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Event } from "../api/schemas/events.ts";
import { ask, ProblemError } from "./api-client.ts";

export type Connection = "connecting" | "live" | "broken" | "signed-out";

export interface LiveEvents {
  readonly connection: Connection;
  /** Newest first; at most `keptEvents`, so that a page that stays open does not grow. */
  readonly events: readonly Event[];
  /** Undefined until the first answer. */
  readonly loaded: boolean;
}

const keptEvents = 500;
const firstEvents = 100;
const againMs = 1_000;
/** Many events in a short time are one look at the lists. */
const gatherMs = 150;

interface Hearer {
  changed(connection: Connection): void;
  heard(events: readonly Event[]): void;
  /** The lists that the page shows may be older than the stream from here on. */
  stale(): void;
}

/** Follows until the answered function is called. */
function followStream({ changed, heard, stale }: Hearer): () => void {
  let ended = false;
  let last: number | undefined;
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const later = () => {
    clearTimeout(timer);
    if (!ended) timer = setTimeout(begin, againMs);
  };
  const lookWhy = (error: unknown) => {
    if (ended) return;
    const signedOut = error instanceof ProblemError && error.status === 401;
    changed(signedOut ? "signed-out" : "broken");
    if (!signedOut) later();
  };
  const open = (after: number) => {
    source = new EventSource(`/v1/events/stream?after=${after}`);
    source.onopen = () => {
      changed("live");
      stale();
    };
    source.onmessage = ({ data }: MessageEvent<string>) => {
      const event = JSON.parse(data) as Event;
      if (last !== undefined && event.sequence <= last) return;
      last = event.sequence;
      heard([event]);
    };
    source.onerror = () => {
      if (ended) return;
      changed("broken");
      // Whoever signed out elsewhere must not see old figures for ever.
      if (source?.readyState === EventSource.CLOSED) ask("GET", "/v1/session").then(later, lookWhy);
    };
  };
  const begin = async () => {
    source?.close();
    try {
      if (last === undefined) {
        const { items } = await ask("GET", "/v1/events", {
          query: { before: Number.MAX_SAFE_INTEGER, limit: firstEvents },
        });
        if (ended) return;
        heard(items);
        last = items.at(-1)?.sequence ?? 0;
      }
      if (!ended) open(last);
    } catch (error) {
      lookWhy(error);
    }
  };
  begin();
  return () => {
    ended = true;
    clearTimeout(timer);
    source?.close();
  };
}

/** Follows the events while the component is shown, and has the page's lists looked at again when something happened. */
export function useLiveEvents(): LiveEvents {
  const client = useQueryClient();
  const [live, setLive] = useState<LiveEvents>({ connection: "connecting", events: [], loaded: false });
  const gathering = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    const stale = () => {
      gathering.current ??= setTimeout(() => {
        gathering.current = undefined;
        client.invalidateQueries({ queryKey: ["fleet"] });
      }, gatherMs);
    };
    const stop = followStream({
      changed: (connection) => setLive((known) => ({ ...known, connection })),
      heard: (news) => {
        setLive((known) => ({
          ...known,
          events: [...news.toReversed(), ...known.events].slice(0, keptEvents),
          loaded: true,
        }));
        stale();
      },
      stale,
    });
    return () => {
      stop();
      clearTimeout(gathering.current);
      gathering.current = undefined;
    };
  }, [client]);
  return live;
}

/**
 * The chain that events hang on: each carries a digest of itself and of all before it.
 *
 * Who changes, removes or inserts an event breaks every link behind it.
 * Who holds the database could write all links anew, which an anchor that was kept elsewhere shows.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../base/canonical-json.ts";
import type { Event } from "./schemas/events.ts";

type Linked = Omit<Event, "link">;

/** Before the first event. */
export const chainStart = "";

/** Keeps digests of events apart from those of anything else. */
const domain = "rebootless event 1";

/**
 * SHA-256 over the domain, the link before and the event in canonical JSON (RFC 8785), a line each; base64url.
 * Who did it counts where it is told: an event from before that was kept is digested without.
 */
export function linkOf(previous: string, { sequence, at, kind, subject, data, by }: Linked): string {
  const whole = { sequence, at, kind, subject, data, ...(by == null ? {} : { by }) };
  const text = `${domain}\n${previous}\n${canonicalJson(whole)}\n`;
  return createHash("sha256").update(text).digest("base64url");
}

/** What is wrong with a chain, in words, and from which event on. */
export interface ChainFault {
  readonly sequence: number;
  readonly problem: string;
}

/** Follows events in their order, as they come. */
export class ChainCheck {
  /** Events that were there before there was a chain, which nothing proves. */
  unlinked = 0;
  linked = 0;
  first: number | undefined;
  last: number | undefined;
  fault: ChainFault | undefined;
  /** Whether the anchor's event was among them, and had the anchor's link. */
  hasAnchor = false;
  #head: string | undefined;
  #begin: Event | undefined;
  #isBeginProven = false;
  readonly #anchor: { readonly sequence: number; readonly link: string } | undefined;

  /** `anchor`: an event and its link as they were seen before. */
  constructor(anchor?: { readonly sequence: number; readonly link: string }) {
    this.#anchor = anchor;
  }

  /** The link of the newest event; undefined where none has one. */
  get head(): string | undefined {
    return this.#head;
  }

  /** False once something is wrong; what follows says nothing more then. */
  take(event: Event): boolean {
    if (this.fault !== undefined) return false;
    const { sequence, link } = event;
    const expected = this.last === undefined ? sequence : this.last + 1;
    if (sequence !== expected) return this.#fail(expected, `the next event is ${sequence}, so some are missing`);
    this.first ??= sequence;
    this.last = sequence;
    if (link === null) {
      if (this.#head !== undefined) return this.#fail(sequence, "it has no link, and events before it have one");
      this.unlinked++;
      return true;
    }
    if (!this.#follows(event)) return this.#fail(sequence, "its link does not fit it and the events before it");
    if (!this.#provesBegin(event))
      return this.#fail(
        this.first ?? sequence,
        "it does not follow what was dropped before it, as a later event tells",
      );
    this.#head = link;
    this.linked++;
    if (this.#anchor?.sequence !== sequence) return true;
    this.hasAnchor = this.#anchor.link === link;
    return (
      this.hasAnchor ||
      this.#fail(sequence, "its link is another one than that of the anchor: the chain was written anew")
    );
  }

  /** After the last event. */
  end(): ChainFault | undefined {
    if (this.fault !== undefined) return this.fault;
    const [anchor, begin] = [this.#anchor, this.#begin];
    if (anchor !== undefined && anchor.sequence > (this.last ?? 0))
      this.#fail(anchor.sequence, "the anchor's event is missing: events were taken off the end");
    else if (begin !== undefined && !this.#isBeginProven)
      this.#fail(begin.sequence, "events before it are missing, and no event tells that they were dropped");
    return this.fault;
  }

  /** The first link may hang on events that are no longer there; an `events-dropped` event behind it names the last one's. */
  #follows(event: Event): boolean {
    const before = this.#head ?? (this.unlinked > 0 || event.sequence === 1 ? chainStart : undefined);
    if (before !== undefined) return linkOf(before, event) === event.link;
    this.#begin = event;
    return true;
  }

  #provesBegin({ kind, data }: Event): boolean {
    const begin = this.#begin;
    if (begin === undefined || kind !== "events-dropped" || data.through !== begin.sequence - 1) return true;
    this.#isBeginProven = typeof data.link === "string" && linkOf(data.link, begin) === begin.link;
    return this.#isBeginProven;
  }

  #fail(sequence: number, problem: string): false {
    this.fault = { sequence, problem };
    return false;
  }
}

/** What is wrong with an expression: one error with the place, and what exists instead. */
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";

export interface Place {
  /** Offsets in the text, in UTF-16 units; `end` is behind the last one. */
  readonly start: number;
  readonly end: number;
}

/** A `request/filter` error; its details have `start` and `end`. */
export function filterFault(text: string, place: Place | undefined, message: string): RebootlessError {
  if (place === undefined) return new RebootlessError("request/filter", message);
  const { start, end } = place;
  const shown = text.slice(start, end);
  const at = shown === "" ? `At character ${start + 1}` : `At character ${start + 1}, ${quoted(shown, 60)}`;
  return new RebootlessError("request/filter", `${at}: ${message}`, { details: { start, end } });
}

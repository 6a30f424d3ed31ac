/**
 * Clock readings of a time zone and instants, by the zones that Intl knows (the IANA database).
 *
 * A reading is told in milliseconds as if it were UTC, so that days and minutes are plain arithmetic.
 */

const dayMs = 24 * 60 * 60 * 1000;
/** Zones come from devices, which may tell what they like. */
const formatsAtMost = 1_000;
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-US", {
    ...{ timeZone: zone, hourCycle: "h23", calendar: "gregory", numberingSystem: "latn" },
    ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" },
  });
  if (formats.size >= formatsAtMost) formats.clear();
  formats.set(zone, made);
  return made;
}

export function isTimeZone(zone: string): boolean {
  if (!/^[A-Za-z0-9_+/-]{1,64}$/.test(zone)) return false;
  try {
    formatOf(zone);
    return true;
  } catch (thrown) {
    if (thrown instanceof RangeError) return false;
    throw thrown;
  }
}

/** What the clock of the zone reads at an instant. */
export function readingAt(zone: string, atMs: number): number {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(atMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  const seconds = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  return seconds + (((atMs % 1000) + 1000) % 1000);
}

/**
 * When the clock of the zone reads so (RFC 5545 section 3.3.5).
 * A reading that comes twice means the first; one that a change to summer time leaves out moves on by what was left out.
 */
export function instantOfReading(zone: string, readingMs: number): number {
  const offsetAt = (atMs: number) => readingAt(zone, atMs) - atMs;
  const before = readingMs - offsetAt(readingMs - dayMs);
  const after = readingMs - offsetAt(readingMs + dayMs);
  const found = [before, after].filter((atMs) => readingAt(zone, atMs) === readingMs);
  return found.length === 0 ? before : Math.min(...found);
}

/** Such as `2026-03-29T22:00:00+02:00`. */
export function localInstant(zone: string, atMs: number): string {
  const reading = readingAt(zone, atMs);
  const offset = Math.round((reading - atMs) / 60_000);
  const [hours, minutes] = [Math.trunc(Math.abs(offset) / 60), Math.abs(offset) % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return `${new Date(reading).toISOString().slice(0, 19)}${offset < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
}

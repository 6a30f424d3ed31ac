/**
 * The clock of the machine as some programs see it, moved forward at will for all of them at one time, by libfaketime.
 *
 * TLS judges certificates by the machine's clock, so that months cannot pass by a clock that is given to our own code alone.
 * Timers go on by the monotonic clock, which is left as it is.
 */
import { readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

const libraries = "/usr/lib";

/** The library to be preloaded, in its form for programs with several threads, since the other one gives wrong times to some of them; undefined where it is not installed. */
export function steeringLibrary(): string | undefined {
  for (const triplet of readdirSync(libraries)) {
    if (!triplet.endsWith("-linux-gnu")) continue;
    const folder = path.join(libraries, triplet, "faketime");
    try {
      if (readdirSync(folder).includes("libfaketimeMT.so.1")) return path.join(folder, "libfaketimeMT.so.1");
    } catch {
      // No such folder: it is not installed for that machine.
    }
  }
  return undefined;
}

/** What programs need in their environment that are to see the time of `file`. */
export function steeredEnvironment(library: string, file: string): Record<string, string> {
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
  };
}

/** Has the time of `file` be so far ahead of the machine's; who reads it sees the old or the new one, and nothing between. */
export function steer(file: string, aheadMs: number): void {
  writeFileSync(`${file}.new`, `+${aheadMs / 1000}\n`);
  renameSync(`${file}.new`, file);
}

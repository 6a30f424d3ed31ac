/** That one server alone works in a state folder, where the database is not in it and so is no lock. */
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { withLock } from "../repository/folder-lock.ts";

/** Answers what lets go of it. Throws `server/state-busy`. */
export async function holdStateFolder(folder: string): Promise<() => Promise<void>> {
  const held = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const holding = withLock(path.join(folder, "server.lock"), { waitMs: 0 }, () => {
    held.resolve();
    return released.promise;
  });
  try {
    await Promise.race([held.promise, holding]);
  } catch (error) {
    if (!(error instanceof RebootlessError && error.code === "repository/busy")) throw error;
    throw new RebootlessError(
      "server/state-busy",
      `Another server runs on ${quoted(folder)}; stop it, or choose another state folder.`,
      { cause: error },
    );
  }
  return async () => {
    released.resolve();
    await holding;
  };
}

/** A folder for one build, gone when it ends, also with the program. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** `work` gets the path of a fresh private folder. */
export async function inWorkFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-build-"));
  const end = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", end);
  try {
    return await work(folder);
  } finally {
    end();
    process.off("exit", end);
  }
}

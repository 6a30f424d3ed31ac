/** How a machine stops being a device: in one command, with the agent ended. */
import { rm } from "node:fs/promises";
import type { ActionState } from "../api/schemas/actions.ts";
import { RebootlessError } from "../base/errors.ts";
import { RefusalError } from "../base/refusal.ts";
import { BinaryLooks } from "../engine/linux/process-binaries.ts";
import { type AgentFolder, holdFolder } from "./agent-folder.ts";
import { HotpatchStore } from "./hotpatch-store.ts";
import { type Identity, readIdentity } from "./identity.ts";
import { readJournal } from "./journal.ts";
import { ProcessScanner } from "./process-scanner.ts";
import { ServerLink } from "./server-link.ts";
import { judge, reasonOf, Treatment } from "./treatment.ts";

/** Stages in which a hotpatch may be in some process. */
const inPlace: ReadonlySet<ActionState> = new Set([
  ...(["applying", "applied", "verifying", "verified", "reverting", "refused", "failed"] as const),
]);

/** Throws `agent/not-enrolled` and `agent/state-damaged`. */
export async function whatLeavingDoes(folder: AgentFolder) {
  const { server, deviceId } = await readIdentity(folder);
  return { server, deviceId, hotpatches: hotpatchesOf(folder) };
}

function hotpatchesOf(folder: AgentFolder): string[] {
  const { courses } = readJournal(folder.journal).state;
  return [...courses.values()]
    .filter(({ stage, fetched }) => fetched && inPlace.has(stage))
    .map(({ hotpatchId }) => hotpatchId);
}

export interface Left {
  /** The processes that a hotpatch was taken out of. */
  readonly reverted: readonly number[];
  /** Why the server does not know that this machine has left; absent where it does. */
  readonly untold?: string;
}

/** Whether the server answers or not, the machine has left afterwards. Throws `agent/state-busy`; and `failure/revert`, with the machine still enrolled. */
export async function leave(
  folder: AgentFolder,
  { revert, progress }: { revert: boolean; progress(message: string): void },
): Promise<Left> {
  return await holdFolder(folder, async () => {
    const reverted: number[] = [];
    if (revert) for (const id of hotpatchesOf(folder)) reverted.push(...(await revertAll(folder, id, progress)));
    progress("Telling the server");
    const untold = await tellServer(await readIdentity(folder));
    const { identity, enrolmentKey, journal, status, catalog, catalogRoot, hotpatches, trusted } = folder;
    // The identity first: whatever ends the command after it, the machine has left.
    for (const gone of [identity, enrolmentKey, journal, status, catalogRoot]) await rm(gone, { force: true });
    for (const gone of [catalog, hotpatches, trusted]) await rm(gone, { recursive: true, force: true });
    return untold === undefined ? { reverted } : { reverted, untold };
  });
}

/** Answers why it could not be told. */
async function tellServer(identity: Identity): Promise<string | undefined> {
  const link = new ServerLink(identity);
  try {
    await link.ask("leave");
    return undefined;
  } catch (error) {
    if (!(error instanceof RebootlessError || error instanceof RefusalError)) throw error;
    const codes: readonly string[] = error instanceof RefusalError ? error.refusals.map(({ code }) => code) : [];
    // It was cut off before, which is what is wanted.
    return codes.includes("access/device-revoked") ? undefined : error.message;
  } finally {
    link.close();
  }
}

async function revertAll(folder: AgentFolder, id: string, progress: (message: string) => void): Promise<number[]> {
  const opened = await new HotpatchStore(folder).open(id);
  const binaryLooks = new BinaryLooks();
  const options = { maxPauseMs: 250, waitMs: 10_000, binaryLooks, progress, onPoint: () => undefined };
  const results = await new Treatment(opened, options).revert(new ProcessScanner().scan());
  if (judge(results) !== "done") {
    throw new RebootlessError(
      "failure/revert",
      `${id} could not be taken out everywhere, and the machine is still enrolled: ${reasonOf(results)}`,
    );
  }
  return results.map(({ pid }) => pid);
}

/** Where the agent of a machine keeps what is its own: one folder of mode 0700, held by one agent at a time. */

import { chmod } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { createFolder } from "../base/stored-file.ts";
import { withLock } from "../repository/folder-lock.ts";

export interface AgentFolder {
  readonly root: string;
  /** The key of an enrolment that was begun and whose answer has not been seen. */
  readonly enrolmentKey: string;
  readonly identity: string;
  /** The public keys of authors that were pinned at the enrolment. */
  readonly trusted: string;
  /** The root of the catalog that was pinned at the enrolment. */
  readonly catalogRoot: string;
  /** Metadata of the catalog that was verified. */
  readonly catalog: string;
  readonly hotpatches: string;
  /** Programs of the administrator. */
  readonly hooks: string;
  readonly journal: string;
  readonly status: string;
  readonly lock: string;
}

export function agentFolder(root: string): AgentFolder {
  const at = (name: string) => path.join(root, name);
  return {
    root,
    enrolmentKey: at("enrolment.key"),
    identity: at("identity.json"),
    trusted: at("trusted"),
    catalogRoot: at("catalog-root.json"),
    catalog: at("catalog"),
    hotpatches: at("hotpatches"),
    hooks: at("hooks"),
    journal: at("journal.jsonl"),
    status: at("status.json"),
    lock: at("lock"),
  };
}

/** XDG Base Directory Specification, XDG_STATE_HOME; root's folder depends on no variable of the user who became root. */
export function defaultAgentFolder(env: NodeJS.ProcessEnv): string {
  if (process.geteuid?.() === 0) return "/var/lib/rebootless/agent";
  const home = env.HOME !== undefined && path.isAbsolute(env.HOME) ? env.HOME : homedir();
  const given = env.XDG_STATE_HOME;
  const state = given !== undefined && path.isAbsolute(given) ? given : path.join(home, ".local", "state");
  return path.join(state, "rebootless", "agent");
}

/** Makes the folder where it is missing, and runs `work` while no other agent may. Throws `agent/state-busy` and `failure/file-write`. */
export async function holdFolder<Result>(folder: AgentFolder, work: () => Promise<Result>): Promise<Result> {
  await createFolder(folder.root, 0o700);
  await chmod(folder.root, 0o700);
  let held = false;
  try {
    return await withLock(folder.lock, { waitMs: 0 }, async () => {
      held = true;
      return await work();
    });
  } catch (error) {
    // Within `work`, the same code may come from another lock, and then says what it is about by itself.
    if (held || !(error instanceof RebootlessError) || error.code !== "repository/busy") throw error;
    throw new RebootlessError(
      "agent/state-busy",
      `Another agent works with ${quoted(folder.root)}; end it first, or choose another folder with --state.`,
      { cause: error },
    );
  }
}

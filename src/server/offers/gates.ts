/**
 * Gates: whether a hotpatch that is wanted on a device may reach it now.
 *
 * Every offer asks all of them (src/server/offers/offers.ts), and what they answer is kept in `offer_blocks`, so that the device's state can say why and what would change it.
 * A gate lives in a file of its own and stands in gate-list.ts.
 * Invariant: a gate reads the database and the instant it is given, and nothing else, so that asking again is the same.
 * Whoever changes what a gate reads calls `offerApproved` for the scope of his change.
 */
import { type BlockCode, blockCodeNames } from "../../api/block-codes.ts";
import type { Database } from "../database/tables.ts";

export interface Candidate {
  readonly deviceId: string;
  readonly hotpatchId: string;
}

export interface Block {
  readonly code: BlockCode;
  /** Which of those that have this code: the id of a rule, a hold, a policy; empty where there is but one. */
  readonly subject?: string;
  /** A sentence: what is in the way. */
  readonly reason: string;
  /** A sentence: what would change it. */
  readonly helps: string;
  /** When it ends by itself, in milliseconds since 1970 UTC. */
  readonly untilMs?: number;
}

/** Candidates by their key (`candidateKey`); a candidate that is not in the answer may pass. A gate gets some thousand at a time. */
export type Gate = (
  db: Database,
  now: number,
  candidates: readonly Candidate[],
) => Promise<ReadonlyMap<string, Block | readonly Block[]>>;

/** Until when what no gate blocks may begin, in milliseconds since 1970 UTC, by key; at that instant the gates are asked again. */
export type PassEnds = (
  db: Database,
  now: number,
  candidates: readonly Candidate[],
) => Promise<ReadonlyMap<string, number>>;

export function candidateKey({ deviceId, hotpatchId }: Candidate): string {
  return `${deviceId} ${hotpatchId}`;
}

/** The place of each code in the list of codes: of several blocks the lowest counts. */
export const blockRanks: ReadonlyMap<BlockCode, number> = new Map(blockCodeNames.map((code, rank) => [code, rank]));

function rankOf({ code }: Block): number {
  return blockRanks.get(code) ?? blockRanks.size;
}

/** What all gates say of each candidate, the block that counts first; who is not in the answer may pass. */
export async function askGates(
  db: Database,
  now: number,
  { gates, candidates }: { readonly gates: readonly Gate[]; readonly candidates: readonly Candidate[] },
): Promise<Map<string, Block[]>> {
  const blocks = new Map<string, Block[]>();
  if (candidates.length === 0) return blocks;
  for (const gate of gates) {
    for (const [key, answer] of await gate(db, now, candidates)) {
      const known = blocks.get(key) ?? [];
      const all = known.concat(answer).toSorted((a, b) => rankOf(a) - rankOf(b));
      if (all.length > 0) blocks.set(key, all);
    }
  }
  return blocks;
}

/** The state of a device for a product, as a pure function of what is wanted, what was done, and what is in the way. */
import { type BlockCode, blockCodes } from "../../api/block-codes.ts";
import {
  type ProductState,
  type StateCode,
  stateOfAction,
  takenBackByGuard,
  wantedOnly,
} from "../../api/device-state-table.ts";
import type { ActionState } from "../../api/schemas/actions.ts";

export interface PairBlock {
  readonly code: BlockCode;
  readonly reason: string;
  readonly helps: string;
  readonly untilMs: number | null;
}

/** A hotpatch of the product, and how it stands with it on the device. */
export interface Pair {
  readonly hotpatchId: string;
  readonly sequence: number;
  readonly wanted: boolean;
  /** `mayReturn`: it was taken back for a decision, and is offered again once that changes. */
  readonly action?: {
    readonly state: ActionState;
    readonly reason: string;
    readonly byGuard: boolean;
    readonly mayReturn?: boolean;
  };
  /** The one that counts comes first. */
  readonly blocks: readonly PairBlock[];
}

export interface WorkedOut {
  readonly state: Exclude<ProductState, "notTargeted">;
  readonly code: StateCode;
  readonly reason: string;
  readonly helps: string;
  /** The hotpatch that it is about. */
  readonly hotpatchId: string;
  readonly sequence: number;
  /** The newest one that is in place, which may be an older one. */
  readonly inPlace: { readonly hotpatchId: string; readonly sequence: number } | undefined;
  readonly untilMs: number | null;
}

/** Memory holds the hotpatch, or may hold it. */
const standing: ReadonlySet<ActionState> = new Set(["applying", "applied", "verifying", "verified", "reverting"]);
const inMemory: ReadonlySet<ActionState> = new Set(["applied", "verifying", "verified"]);

function newestOf(pairs: readonly Pair[]): Pair | undefined {
  return pairs.toSorted((a, b) => b.sequence - a.sequence || (a.hotpatchId < b.hotpatchId ? 1 : -1))[0];
}

/**
 * Hotpatches are cumulative, so the newest one that is wanted decides; where none is wanted, the newest that is in place, or that the agent failed at.
 * Undefined: not targeted.
 */
export function workOut(pairs: readonly Pair[]): WorkedOut | undefined {
  const aim =
    newestOf(pairs.filter(({ wanted }) => wanted)) ??
    newestOf(pairs.filter(({ action }) => action !== undefined && standing.has(action.state))) ??
    newestOf(pairs.filter(({ action }) => action?.state === "failed"));
  if (aim === undefined) return undefined;
  const { hotpatchId, sequence } = aim;
  const held = newestOf(pairs.filter(({ action }) => action !== undefined && inMemory.has(action.state)));
  const inPlace = held === undefined ? undefined : { hotpatchId: held.hotpatchId, sequence: held.sequence };
  return { ...stateOfPair(aim), hotpatchId, sequence, inPlace };
}

function stateOfPair({ action, blocks }: Pair): Pick<WorkedOut, "state" | "code" | "reason" | "helps" | "untilMs"> {
  const [block] = blocks;
  const isGone = action?.state === "reverted" && action.mayReturn === true;
  const hasBegun = action !== undefined && action.state !== "withdrawn" && !isGone;
  if (!hasBegun && block !== undefined) {
    const { code, reason, helps, untilMs } = block;
    return { state: blockCodes[code].state, code, reason, helps, untilMs };
  }
  if (action === undefined || action.state === "withdrawn") return { ...wantedOnly, untilMs: null };
  const isBack = action.state === "reverting" || action.state === "reverted";
  const row = isBack && action.byGuard ? takenBackByGuard : stateOfAction[action.state];
  const state = row.state as WorkedOut["state"];
  const said = action.reason === "" ? row.reason : `${row.reason} It said: ${action.reason}`;
  return { state, code: row.code, reason: said, helps: row.helps, untilMs: null };
}

/**
 * What a rollout does next by itself: pure.
 *
 * Asked again and again until it answers `none`; the same figures at the same instant lead to the same end, however often the server stopped meanwhile.
 */
import type { RolloutSpec, RolloutState } from "../../api/schemas/rollouts.ts";
import { type Fired, type Firing, firings, hasSucceeded, isOver, type RingFigures } from "./thresholds.ts";

const minuteMs = 60 * 1000;

export interface Standing {
  readonly state: RolloutState;
  /** The one that is open. */
  readonly ring: number;
  /** In milliseconds since 1970 UTC; null apart from the verification pause. */
  readonly verifyUntilMs: number | null;
  readonly fired: Fired;
}

export type Move =
  | { readonly kind: "none" }
  /** Thresholds that are reached, the most severe one first. */
  | { readonly kind: "fire"; readonly firings: readonly Firing[] }
  | { readonly kind: "shortfall"; readonly key: string; readonly action: "pause" | "halt"; readonly reason: string }
  | { readonly kind: "succeed"; readonly verifyUntilMs: number }
  | { readonly kind: "fall-back"; readonly reason: string }
  | { readonly kind: "promote" }
  | { readonly kind: "finish" };

type Spec = Pick<RolloutSpec, "rings" | "success" | "shortfall" | "errors" | "verifyMinutes">;

/** `rings`: the figures of every ring, in their order. */
export function nextMove(
  spec: Spec,
  standing: Standing,
  { rings, nowMs }: { rings: readonly RingFigures[]; nowMs: number },
): Move {
  const { state, ring, verifyUntilMs, fired } = standing;
  if (state !== "running" && state !== "verifying") return { kind: "none" };
  const found = firings(spec, rings.slice(0, ring + 1), fired);
  if (found.length > 0) return { kind: "fire", firings: found };
  const open = rings[ring];
  if (open === undefined) return { kind: "finish" };
  const succeeded = hasSucceeded(spec, open);
  if (state === "verifying") {
    if (!succeeded) {
      return { kind: "fall-back", reason: `The ring ${open.name} is below its success threshold again.` };
    }
    if (nowMs < (verifyUntilMs ?? 0)) return { kind: "none" };
    return { kind: ring + 1 < spec.rings.length ? "promote" : "finish" };
  }
  if (succeeded) return { kind: "succeed", verifyUntilMs: nowMs + spec.verifyMinutes * minuteMs };
  const key = `${ring}/shortfall`;
  if (!isOver(open) || fired[key] !== undefined) return { kind: "none" };
  const reason = `The ring ${open.name} is done and did not succeed: ${open.succeeded} of ${open.devices} devices.`;
  return { kind: "shortfall", key, action: spec.shortfall, reason };
}

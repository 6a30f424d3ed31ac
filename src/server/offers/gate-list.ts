/** The gates that every offer asks, in one list, and what says until when they let pass. */
import { servicingGate } from "../calendar/servicing-gate.ts";
import { eligibilityGate } from "../eligibility/eligibility-gate.ts";
import { fourEyesGate } from "../four-eyes/four-eyes-gate.ts";
import { holdGate } from "../holds/hold-gate.ts";
import { policyGate } from "../policies/policy-gate.ts";
import { windowEnds, windowGate } from "../policies/window-gate.ts";
import { rolloutGate } from "../rollouts/rollout-gate.ts";
import type { Gate, PassEnds } from "./gates.ts";

export const gates: readonly Gate[] = [
  eligibilityGate,
  holdGate,
  servicingGate,
  policyGate,
  windowGate,
  rolloutGate,
  fourEyesGate,
];

export const passEnds: PassEnds = windowEnds;

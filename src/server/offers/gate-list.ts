/** The gates that every offer asks, in one list. */
import { servicingGate } from "../calendar/servicing-gate.ts";
import { eligibilityGate } from "../eligibility/eligibility-gate.ts";
import { fourEyesGate } from "../four-eyes/four-eyes-gate.ts";
import { holdGate } from "../holds/hold-gate.ts";
import { policyGate } from "../policies/policy-gate.ts";
import type { Gate } from "./gates.ts";

export const gates: readonly Gate[] = [eligibilityGate, holdGate, servicingGate, policyGate, fourEyesGate];

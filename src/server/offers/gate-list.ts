/** The gates that every offer asks, in one list. */
import type { Gate } from "./gates.ts";

export const gates: readonly Gate[] = [];

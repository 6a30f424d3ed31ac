/** How long to wait before a server is asked again that did not answer. */
export const backOffLimits = { firstMs: 1_000, longestMs: 60_000, cutOffMs: 60 * 60_000 } as const;

/** Doubles with each attempt (from 0) up to a minute; between half and the whole of it, so that a fleet does not come back all at once. `random` is at least 0 and below 1. */
export function backOffMs(attempt: number, random: number): number {
  const { firstMs, longestMs } = backOffLimits;
  const whole = Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 16));
  return Math.round(whole * (0.5 + random / 2));
}

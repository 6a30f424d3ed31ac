/** What update rings have to keep to, as a rule without a database. */
import { policyLimits, type Ring } from "../../api/schemas/policies.ts";
import { RebootlessError } from "../../base/errors.ts";

/**
 * No rings, or 2 to 15 whose first is called Test and whose last is called Last, each with a name and a group of its own, none with a shorter deferral than the one before.
 * Throws `request/invalid`.
 */
export function checkRings(rings: readonly Ring[]): void {
  if (rings.length === 0) return;
  const { minRings, maxRings } = policyLimits;
  if (rings.length < minRings || rings.length > maxRings) {
    throw new RebootlessError("request/invalid", `A policy has ${minRings} to ${maxRings} rings, or none.`);
  }
  if (rings[0]?.name !== "Test" || rings.at(-1)?.name !== "Last") {
    throw new RebootlessError("request/invalid", "The first ring is called Test, and the last one Last.");
  }
  for (const [index, { name, deferralDays }] of rings.entries()) {
    const before = rings[index - 1];
    if (before !== undefined && before.deferralDays > deferralDays) {
      throw new RebootlessError(
        "request/invalid",
        `The ring ${name} has a shorter deferral than ${before.name}, which stands before it.`,
      );
    }
  }
  for (const key of ["name", "groupId"] as const) {
    if (new Set(rings.map((ring) => ring[key])).size < rings.length) {
      throw new RebootlessError("request/invalid", "Each ring has a name and a group of its own.");
    }
  }
}

/** What two rounds of one suite have in common; pure. */
import type { Explanation } from "./suite-cases.ts";

/** What came of one check, as a text that is the same exactly when an application would see the same. */
export interface CheckResult {
  readonly name: string;
  readonly outcome: string;
}

export interface Difference {
  readonly name: string;
  /** Undefined where the check was not carried out. */
  readonly expected: string | undefined;
  readonly actual: string | undefined;
  /** Why it may differ; undefined where nothing explains it. */
  readonly reason: string | undefined;
}

/** Each check whose outcome differs, or which one of the two lacks. */
export function differences(
  expected: readonly CheckResult[],
  actual: readonly CheckResult[],
  explained: readonly Pick<Explanation, "check" | "reason">[] = [],
): readonly Difference[] {
  const outcomes = (results: readonly CheckResult[]) => new Map(results.map(({ name, outcome }) => [name, outcome]));
  const before = outcomes(expected);
  const after = outcomes(actual);
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => before.get(name) !== after.get(name))
    .map((name) => ({
      name,
      expected: before.get(name),
      actual: after.get(name),
      reason: explained.find(({ check }) => check.test(name))?.reason,
    }));
}

export function unexplained(found: readonly Difference[]): readonly Difference[] {
  return found.filter(({ reason }) => reason === undefined);
}

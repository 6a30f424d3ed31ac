/** What the states of an action are called on the page, and how much they ask of a person. */
import type { Action, ActionState } from "../api/schemas/actions.ts";
import type { Hotpatch } from "../api/schemas/hotpatches.ts";

/** `protected`: in place and proven. `waiting`: on its way. `person`: stays as it is until somebody decides. `off`: not in place, as wanted. */
export type Standing = "protected" | "waiting" | "person" | "off";

interface StateWords {
  readonly label: string;
  readonly standing: Standing;
}

export const stateWords: Readonly<Record<ActionState, StateWords>> = {
  offered: { label: "Offered", standing: "waiting" },
  fetching: { label: "Fetching", standing: "waiting" },
  fetched: { label: "Fetched", standing: "waiting" },
  planned: { label: "Planned", standing: "waiting" },
  applying: { label: "Applying", standing: "waiting" },
  applied: { label: "Applied", standing: "waiting" },
  verifying: { label: "Verifying", standing: "waiting" },
  verified: { label: "Verified", standing: "protected" },
  reverting: { label: "Reverting", standing: "waiting" },
  reverted: { label: "Reverted", standing: "off" },
  refused: { label: "Refused", standing: "person" },
  failed: { label: "Failed", standing: "person" },
  withdrawn: { label: "Withdrawn", standing: "off" },
};

export const standings: readonly Standing[] = ["protected", "waiting", "person", "off"];

/** What a person may ask of an action as it is now; the server has the last word. */
export function possibleRequests({ state }: Pick<Action, "state">): readonly ("revert" | "offer" | "withdraw")[] {
  switch (state) {
    case "offered":
    case "fetching":
    case "fetched":
    case "planned":
      return ["withdraw"];
    case "applying":
    case "applied":
    case "verifying":
    case "verified":
      return ["revert"];
    case "failed":
      return ["offer", "revert"];
    case "refused":
      // Some of its processes may have been patched.
      return ["offer", "revert", "withdraw"];
    case "reverted":
    case "withdrawn":
      return ["offer"];
    case "reverting":
      return [];
  }
}

/** Such as `json5 2.2.1 → 2.2.2`; the id where the catalog does not list the hotpatch (any more). */
export function hotpatchName(hotpatch: Hotpatch | undefined, id: string): string {
  if (hotpatch === undefined) return id;
  const { name, version, fixedVersion } = hotpatch.target;
  if (version === undefined) return name;
  return fixedVersion === undefined ? `${name} ${version}` : `${name} ${version} → ${fixedVersion}`;
}

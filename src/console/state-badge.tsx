/** The state of an action as a badge: the word says it, the colour helps. */
import { Badge } from "@fluentui/react-components";
import type { ActionState } from "../api/schemas/actions.ts";
import { type Standing, stateWords } from "./action-words.ts";

const looks = {
  protected: { color: "success", appearance: "tint" },
  waiting: { color: "brand", appearance: "tint" },
  person: { color: "danger", appearance: "tint" },
  off: { color: "informative", appearance: "outline" },
} as const satisfies Record<Standing, object>;

export function StateBadge({ state }: { state: ActionState }) {
  const { label, standing } = stateWords[state];
  return (
    <Badge {...looks[standing]} size="large" data-state={state}>
      {label}
    </Badge>
  );
}

export function CountBadge({ standing, children }: { standing: Standing; children: string }) {
  return <Badge {...looks[standing]}>{children}</Badge>;
}

const severities: Readonly<Record<string, "danger" | "severe" | "warning" | "informative">> = {
  critical: "danger",
  high: "severe",
  medium: "warning",
  low: "informative",
};

export function AdvisoryBadge({ id, severity }: { id: string; severity?: string }) {
  return (
    <Badge appearance="tint" color={severities[severity ?? ""] ?? "informative"}>
      {severity === undefined ? id : `${id} · ${severity}`}
    </Badge>
  );
}

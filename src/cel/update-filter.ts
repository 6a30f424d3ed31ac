/** Conditions over an update's facts, for rules that approve updates by themselves; the language is that of compile-filter.ts. */
import { EvaluationError } from "@marcbachmann/cel-js";
import type { Hotpatch } from "../api/schemas/hotpatches.ts";
import { checkedExpression, environmentFor } from "./compile-filter.ts";
import type { Names } from "./filter-names.ts";

const update = {
  id: "string",
  title: "string",
  product: "string",
  kind: "string",
  name: "string",
  severity: "string",
  sequence: "int",
  advisories: "list<string>",
  supersedes: "list<string>",
};
const names: Names = new Map([["update", new Map(Object.entries(update))]]);
let environment: ReturnType<typeof environmentFor> | undefined;

export interface UpdateFilter {
  readonly text: string;
  holds(hotpatch: Hotpatch): boolean;
}

/** From the least to the worst; one that nobody named comes before all. */
const severityOrder = ["low", "moderate", "high", "critical"];

/** The worst of its advisories; empty where none tells. */
export function severityOf({ advisories }: Pick<Hotpatch, "advisories">): string {
  return advisories.reduce((worst, { severity = "" }) => {
    return severityOrder.indexOf(severity) > severityOrder.indexOf(worst) ? severity : worst;
  }, "");
}

/** As approvals and policies name products. */
export function productOf({ target }: Pick<Hotpatch, "target">): string {
  return `${target.kind}/${target.name}`;
}

/** Throws `request/filter`, which points at the place and says what exists. */
export function compileUpdateFilter(text: string): UpdateFilter {
  environment ??= environmentFor(names);
  const { expression } = checkedExpression(text, names, environment);
  return {
    text,
    holds(hotpatch) {
      const { id, title, target, sequence, advisories, supersedes } = hotpatch;
      const values = {
        ...{ id, title, kind: target.kind, name: target.name, supersedes: [...supersedes] },
        product: productOf(hotpatch),
        severity: severityOf(hotpatch),
        sequence: BigInt(sequence),
        advisories: advisories.map((advisory) => advisory.id),
      };
      try {
        return expression({ update: new Map(Object.entries(values)) }) === true;
      } catch (error) {
        // Such as an index behind the end of a list: what cannot be worked out does not hold.
        if (error instanceof EvaluationError) return false;
        throw error;
      }
    },
  };
}

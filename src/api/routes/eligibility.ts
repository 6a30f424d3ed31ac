/** Which devices can take hotpatches of which products. */
import { Type } from "typebox";
import { record } from "../schemas/basics.ts";
import {
  EligibilityPreview,
  EligibilityPreviewRequest,
  Rule,
  RuleChange,
  RuleHistory,
  RuleId,
  RuleReset,
} from "../schemas/eligibility.ts";
import { fleetReaders, route } from "./route-spec.ts";

const params = record({ ruleId: RuleId });

export const eligibilityRoutes = {
  listEligibilityRules: route({
    method: "GET",
    path: "/v1/eligibility-rules",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    summary: "the rules of eligibility, those that shipped and those that were added",
    status: 200,
    response: record({ items: Type.Array(Rule) }),
  }),
  changeEligibilityRule: route({
    method: "PUT",
    path: "/v1/eligibility-rules/{ruleId}",
    caller: "person",
    roles: ["administrator"],
    summary: "change a rule, switch it off, or add one; offers follow at once",
    params,
    body: RuleChange,
    status: 200,
    response: Rule,
  }),
  resetEligibilityRule: route({
    method: "POST",
    path: "/v1/eligibility-rules/{ruleId}/reset",
    caller: "person",
    roles: ["administrator"],
    summary: "make a rule what it was when it shipped, or take away one that was added",
    params,
    body: RuleReset,
    status: 204,
  }),
  eligibilityHistory: route({
    method: "GET",
    path: "/v1/eligibility-rules/{ruleId}/history",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    summary: "who changed a rule, when and why, oldest first",
    params,
    status: 200,
    response: record({ items: Type.Array(RuleHistory) }),
  }),
  previewEligibility: route({
    method: "POST",
    path: "/v1/eligibility-previews",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    summary: "how many devices can take hotpatches of a product, and what the others lack; nothing is changed",
    body: EligibilityPreviewRequest,
    status: 200,
    response: EligibilityPreview,
  }),
};

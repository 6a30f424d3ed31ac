/**
 * The one table of what can be asked of the server, and by whom.
 *
 * The server registers these routes and no others, the OpenAPI document is printed from them, and the test of permissions goes through them.
 * Paths are written as OpenAPI writes them, with `{name}` for a parameter.
 */
import type { Static, TSchema } from "typebox";
import { accessRoutes } from "./routes/access.ts";
import { agentRoutes } from "./routes/agent.ts";
import { approvalRoutes } from "./routes/approvals.ts";
import { catalogRoutes } from "./routes/catalog.ts";
import { deviceStateRoutes } from "./routes/device-states.ts";
import { deviceRoutes } from "./routes/devices.ts";
import { eligibilityRoutes } from "./routes/eligibility.ts";
import { eventRoutes } from "./routes/events.ts";
import { fourEyesRoutes } from "./routes/four-eyes.ts";
import { groupRoutes } from "./routes/groups.ts";
import { holdRoutes } from "./routes/holds.ts";
import { openRoutes } from "./routes/open.ts";
import { policyRoutes } from "./routes/policies.ts";
import { rolloutRoutes } from "./routes/rollouts.ts";
import { signInRoutes } from "./routes/sign-in.ts";
import { webhookRoutes } from "./routes/webhooks.ts";
import { workRoutes } from "./routes/work.ts";

export const routes = {
  ...openRoutes,
  ...agentRoutes,
  ...signInRoutes,
  ...accessRoutes,
  ...deviceRoutes,
  ...deviceStateRoutes,
  ...eligibilityRoutes,
  ...holdRoutes,
  ...groupRoutes,
  ...catalogRoutes,
  ...workRoutes,
  ...approvalRoutes,
  ...policyRoutes,
  ...rolloutRoutes,
  ...fourEyesRoutes,
  ...eventRoutes,
  ...webhookRoutes,
};
export type RouteName = keyof typeof routes;

type Part<Spec, Name extends string> = Spec extends { readonly [Key in Name]: infer Schema extends TSchema }
  ? Static<Schema>
  : undefined;

/** What a handler of a route gets, checked. */
export interface Asked<Name extends RouteName> {
  readonly params: Part<(typeof routes)[Name], "params">;
  readonly query: Part<(typeof routes)[Name], "query">;
  readonly body: Part<(typeof routes)[Name], "body">;
}

/** What it answers. */
export type Answered<Name extends RouteName> = Part<(typeof routes)[Name], "response">;

/** Quality-update policies, their pauses, and what they expedite. */
import * as pauses from "../../policies/pauses.ts";
import * as policies from "../../policies/policies.ts";
import { previewWindows } from "../../policies/preview-windows.ts";
import { type Handlers, nameOf } from "../handler.ts";

type Names = keyof typeof import("../../../api/routes/policies.ts").policyRoutes;

export const policyHandlers: Pick<Handlers, Names> = {
  listPolicies: (context, { query }) => policies.listPolicies(context, query),
  makePolicy: (context, { body }, caller) => policies.makePolicy(context, body, nameOf(caller)),
  getPolicy: (context, { params }) => policies.getPolicy(context, params.policyId),
  previewWindows: (context, { params, query }) => previewWindows(context, params.policyId, query.deviceId),
  changePolicy: (context, { params, body }, caller) =>
    policies.changePolicy(context, params.policyId, { wanted: body, by: nameOf(caller) }),
  removePolicy: async (context, { params }, caller) => {
    await policies.removePolicy(context, params.policyId, nameOf(caller));
    return undefined;
  },
  pausePolicy: (context, { params, body }, caller) =>
    pauses.pausePolicy(context, params.policyId, { wanted: body, by: nameOf(caller), extends: false }),
  extendPause: (context, { params, body }, caller) =>
    pauses.pausePolicy(context, params.policyId, { wanted: body, by: nameOf(caller), extends: true }),
  resumePolicy: (context, { params }, caller) => pauses.resumePolicy(context, params.policyId, nameOf(caller)),
  expedite: (context, { params, body }, caller) =>
    pauses.expedite(context, { ...params, reason: body.reason ?? "", by: nameOf(caller) }),
  endExpedite: async (context, { params }, caller) => {
    await pauses.endExpedite(context, { ...params, by: nameOf(caller) });
    return undefined;
  },
};

/** Where four eyes are asked for, and the requests that wait for a second person. */
import type { RouteName } from "../../../api/routes.ts";
import * as requests from "../../four-eyes/requests.ts";
import * as requirements from "../../four-eyes/requirements.ts";
import { confirmRequest } from "../four-eyes.ts";
import { type Handlers, nameOf } from "../handler.ts";

type Names = keyof typeof import("../../../api/routes/four-eyes.ts").fourEyesRoutes;

/** `others` are the handlers that a confirmation runs. */
export function fourEyesHandlers(others: () => Partial<Record<RouteName, unknown>>): Pick<Handlers, Names> {
  return {
    listFourEyes: async ({ database }) => ({ items: await requirements.listFourEyes(database) }),
    requireFourEyes: (context, { params, body }, caller) =>
      requirements.requireFourEyes(context, params, { reason: body.reason, by: nameOf(caller) }),
    releaseFourEyes: async (context, { params }) => {
      await requirements.releaseFourEyes(context, params);
      return undefined;
    },
    listApprovalRequests: ({ database }, { query }) => requests.listRequests(database, query),
    getApprovalRequest: async ({ database }, { params }) =>
      requests.shownRequest(await requests.requireRequest(database, params.requestId)),
    confirmApprovalRequest: (context, { params, body }, caller) =>
      confirmRequest(context, { ...params, ...body, handlers: others() }, caller),
    rejectApprovalRequest: (context, { params, body }) =>
      requests.rejectRequest(context, params.requestId, body.reason),
  };
}

/** Phased rollouts, and what agents notice of hotpatches that are in place. */
import { compatibilityOf } from "../../rollouts/compatibility.ts";
import { takeHealth } from "../../rollouts/health.ts";
import * as devices from "../../rollouts/rollout-devices.ts";
import * as rollouts from "../../rollouts/rollouts.ts";
import { deviceIdOf, type Handlers, nameOf } from "../handler.ts";

type Names = keyof typeof import("../../../api/routes/rollouts.ts").rolloutRoutes;

export const rolloutHandlers: Pick<Handlers, Names> = {
  listRollouts: (context, { query }) => rollouts.listRollouts(context, query),
  makeRollout: (context, { body }, caller) => rollouts.makeRollout(context, body, nameOf(caller)),
  previewRollout: (context, { body }) => devices.previewRollout(context, body),
  getCompatibility: (context, { params, query }) =>
    compatibilityOf(context, { ...params, groupId: query.groupId ?? "all" }),
  getRollout: (context, { params }) => rollouts.getRollout(context, params.rolloutId),
  listRolloutDevices: (context, { params, query }) => devices.listRolloutDevices(context, params.rolloutId, query),
  startRollout: (context, { params, body }, caller) =>
    rollouts.startRollout(context, params.rolloutId, { reason: body.reason ?? "", by: nameOf(caller) }),
  pauseRollout: (context, { params, body }, caller) =>
    rollouts.pauseRollout(context, params.rolloutId, { reason: body.reason ?? "", by: nameOf(caller) }),
  resumeRollout: (context, { params, body }, caller) =>
    rollouts.resumeRollout(context, params.rolloutId, { reason: body.reason ?? "", by: nameOf(caller) }),
  promoteRollout: (context, { params, body }, caller) =>
    rollouts.promoteRollout(context, params.rolloutId, { reason: body.reason ?? "", by: nameOf(caller) }),
  abortRollout: (context, { params, body }, caller) =>
    rollouts.abortRollout(context, params.rolloutId, { ...body, reason: body.reason ?? "", by: nameOf(caller) }),
  removeRollout: async (context, { params }, caller) => {
    await rollouts.removeRollout(context, params.rolloutId, nameOf(caller));
    return undefined;
  },
  reportHealth: async (context, { body }, caller) => {
    await takeHealth(context, deviceIdOf(caller), body);
    return undefined;
  },
};

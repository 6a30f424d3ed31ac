/** Webhooks, as administrators keep them. */
import { testWebhook } from "../../webhooks/deliver.ts";
import * as webhooks from "../../webhooks/webhooks.ts";
import { type Handlers, nameOf } from "../handler.ts";

type Names = keyof typeof import("../../../api/routes/webhooks.ts").webhookRoutes;

export const webhookHandlers: Pick<Handlers, Names> = {
  listWebhooks: ({ database }, { query }) => webhooks.listWebhooks(database, query),
  makeWebhook: (context, { body }, caller) => webhooks.makeWebhook(context, body, nameOf(caller)),
  getWebhook: ({ database }, { params }) => webhooks.getWebhook(database, params.webhookId),
  changeWebhook: (context, { params, body }, caller) =>
    webhooks.changeWebhook(context, params.webhookId, { wanted: body, by: nameOf(caller) }),
  rotateWebhookSecret: (context, { params }, caller) =>
    webhooks.rotateSecret(context, params.webhookId, nameOf(caller)),
  testWebhook: (context, { params }, { gone }) => testWebhook(context, params.webhookId, gone),
  replayWebhook: (context, { params, body }, caller) =>
    webhooks.replayWebhook(context, params.webhookId, { after: body.after, by: nameOf(caller) }),
  listWebhookDeliveries: async ({ database }, { params }) => ({
    items: await webhooks.listDeliveries(database, params.webhookId),
  }),
  removeWebhook: async (context, { params }, caller) => {
    await webhooks.removeWebhook(context, params.webhookId, nameOf(caller));
    return undefined;
  },
};

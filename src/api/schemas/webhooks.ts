/** Webhooks: events sent to addresses of others, in the form of Standard Webhooks 1.0. */
import { type Static, Type } from "typebox";
import { GroupId, Instant, Nullable, record, Title, Uuid, words } from "./basics.ts";
import { eventKinds } from "./events.ts";

export const webhookLimits = {
  webhooks: 100,
  deliveries: 200,
  urlBytes: 1_000,
  failingDays: 5,
  oldSecretHours: 24,
} as const;
/** `disabled`: by the server, since the address failed for too long or said that it is gone. */
export const webhookStates = ["active", "paused", "disabled"] as const;

const Url = Type.String({ minLength: 8, maxLength: webhookLimits.urlBytes, pattern: "^https?://[^\\s]+$" });
const Kinds = Type.Array(words(eventKinds), { maxItems: eventKinds.length, uniqueItems: true });

export const Webhook = record(
  {
    id: Uuid,
    title: Title,
    url: Type.String(),
    /** Empty: all. */
    kinds: Kinds,
    /** Only what is about devices of the group, or about the group and those below it. */
    groupId: Nullable(GroupId),
    state: words(webhookStates),
    /** The number of the newest event that was delivered, or was not for it. */
    delivered: Type.Integer({ minimum: 0 }),
    /** Of the event that is tried at the moment; 0 where nothing failed. */
    attempts: Type.Integer({ minimum: 0 }),
    nextAttemptAt: Nullable(Instant),
    lastError: Type.String(),
    createdAt: Instant,
    createdBy: Type.String(),
  },
  { $id: "Webhook" },
);
export type Webhook = Static<typeof Webhook>;

/** It gets what happens from now on. */
export const NewWebhook = record(
  { title: Title, url: Url, kinds: Type.Optional(Kinds), groupId: Type.Optional(GroupId) },
  { $id: "NewWebhook" },
);
export type NewWebhook = Static<typeof NewWebhook>;

export const WebhookChange = record(
  {
    title: Type.Optional(Title),
    url: Type.Optional(Url),
    kinds: Type.Optional(Kinds),
    /** `active` ends a pause, and lets one that was disabled try again at once. */
    state: Type.Optional(words(["active", "paused"])),
  },
  { $id: "WebhookChange" },
);
export type WebhookChange = Static<typeof WebhookChange>;

/** `secret` is shown this once: `whsec_` and 32 bytes in base64. */
export const WebhookWithSecret = record({ webhook: Webhook, secret: Type.String() }, { $id: "WebhookWithSecret" });
export type WebhookWithSecret = Static<typeof WebhookWithSecret>;

export const WebhookDelivery = record(
  {
    at: Instant,
    /** Of the event; 0 of a test. */
    sequence: Type.Integer({ minimum: 0 }),
    attempt: Type.Integer({ minimum: 1 }),
    /** What the address answered; null where it did not. */
    status: Nullable(Type.Integer({ minimum: 0 })),
    /** Empty where it was delivered. */
    error: Type.String(),
  },
  { $id: "WebhookDelivery" },
);
export type WebhookDelivery = Static<typeof WebhookDelivery>;

/** Everything behind this event is sent again. */
export const WebhookReplay = record(
  { after: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }) },
  { $id: "WebhookReplay" },
);

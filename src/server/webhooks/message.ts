/** A message as Standard Webhooks 1.0 has it: headers, signature and body; pure. */
import { createHmac } from "node:crypto";
import type { Event } from "../../api/schemas/events.ts";

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The bytes are those behind `whsec_`, in base64. */
export function signatureOf(secret: string, signed: string): string {
  return `v1,${createHmac("sha256", Buffer.from(secret, "base64")).update(signed).digest("base64")}`;
}

/** The same event has the same id at each attempt, so that a receiver counts it once. */
export function messageOf(
  { webhookId, sequence, type, timestamp, data }: Told,
  { secrets, nowMs }: { readonly secrets: readonly string[]; readonly nowMs: number },
): Message {
  const id = `msg_${webhookId}_${sequence}`;
  const at = String(Math.floor(nowMs / 1000));
  const body = JSON.stringify({ type, timestamp, data });
  const signatures = secrets.map((secret) => signatureOf(secret, `${id}.${at}.${body}`));
  return {
    headers: {
      "content-type": "application/json",
      "user-agent": "rebootless",
      "webhook-id": id,
      "webhook-timestamp": at,
      "webhook-signature": signatures.join(" "),
    },
    body,
  };
}

interface Told {
  readonly webhookId: string;
  readonly sequence: number;
  readonly type: string;
  /** When it happened (RFC 3339). */
  readonly timestamp: string;
  readonly data: unknown;
}

/** What a receiver learns: `type` is `rebootless.` and the kind of the event. */
export function toldOf(webhookId: string, { sequence, at, kind, subject, data, by, link }: Event): Told {
  return {
    ...{ webhookId, sequence, type: `rebootless.${kind}`, timestamp: at },
    data: { sequence, subject, by: by ?? null, link, ...data },
  };
}

const minuteMs = 60 * 1000;
/** The schedule that the specification recommends; the last one goes on. */
const waitsMs = [5_000, 5 * minuteMs, 30 * minuteMs, 120 * minuteMs, 300 * minuteMs, 600 * minuteMs];

/** How long to wait behind so many failures, with up to a tenth more by chance (`byte` from 0 to 255), so that not all come back at once. */
export function waitMs(failures: number, byte: number): number {
  const wait = waitsMs[Math.min(failures, waitsMs.length) - 1] ?? 0;
  return Math.round(wait * (1 + byte / 2550));
}

/** The tables of webhooks, as one migration. */
import type { SqlWords } from "../database/sql-words.ts";

export function webhookTables({ text, integer, table }: SqlWords): string {
  return `
  CREATE TABLE webhooks (
    id ${text} PRIMARY KEY,
    title ${text} NOT NULL,
    url ${text} NOT NULL,
    kinds_json ${text} NOT NULL,
    group_id ${text},
    secret ${text} NOT NULL,
    old_secret ${text},
    old_secret_until ${integer},
    state ${text} NOT NULL,
    delivered ${integer} NOT NULL,
    attempts ${integer} NOT NULL,
    next_at ${integer} NOT NULL,
    failing_since ${integer},
    last_error ${text} NOT NULL,
    claimed_until ${integer} NOT NULL,
    claim ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL
  ) ${table};
  CREATE TABLE webhook_deliveries (
    webhook_id ${text} NOT NULL REFERENCES webhooks (id),
    number ${integer} NOT NULL,
    at ${integer} NOT NULL,
    sequence ${integer} NOT NULL,
    attempt ${integer} NOT NULL,
    status ${integer},
    error ${text} NOT NULL,
    PRIMARY KEY (webhook_id, number)
  ) ${table};
  `;
}

export interface WebhookTables {
  webhooks: {
    id: string;
    title: string;
    url: string;
    kinds_json: string;
    group_id: string | null;
    /** In base64. The old one signs as well until its end. */
    secret: string;
    old_secret: string | null;
    old_secret_until: number | null;
    state: "active" | "paused" | "disabled";
    /** The newest event that was delivered, or was not for it: what is behind is to be sent, in order. */
    delivered: number;
    attempts: number;
    next_at: number;
    failing_since: number | null;
    last_error: string;
    /** Until when the server that named itself in `claim` sends; another one goes on behind that. */
    claimed_until: number;
    claim: string;
    created_at: number;
    created_by: string;
  };
  webhook_deliveries: {
    webhook_id: string;
    number: number;
    at: number;
    sequence: number;
    attempt: number;
    status: number | null;
    error: string;
  };
}

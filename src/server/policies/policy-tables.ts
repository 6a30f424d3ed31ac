/** The tables of policies, as one migration. */
import type { SqlWords } from "../database/sql-words.ts";

export function policyTables({ text, integer, table }: SqlWords): string {
  return `
  CREATE TABLE policies (
    id ${text} PRIMARY KEY,
    title ${text} NOT NULL,
    hotpatch_enabled ${integer} NOT NULL,
    approval_method ${text} NOT NULL,
    severities_json ${text} NOT NULL,
    products_json ${text} NOT NULL,
    deferral_days ${integer} NOT NULL,
    deadline_days ${integer},
    grace_days ${integer} NOT NULL,
    active_hours_json ${text},
    windows_json ${text} NOT NULL,
    paused_until ${integer},
    pause_reason ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL
  ) ${table};
  CREATE TABLE policy_groups (
    policy_id ${text} NOT NULL REFERENCES policies (id),
    position ${integer} NOT NULL,
    group_id ${text} NOT NULL REFERENCES groups (id),
    ring ${text} NOT NULL,
    deferral_days ${integer},
    PRIMARY KEY (policy_id, position),
    UNIQUE (policy_id, group_id)
  ) ${table};
  CREATE INDEX policy_groups_by_group ON policy_groups (group_id);
  CREATE TABLE policy_expedites (
    policy_id ${text} NOT NULL REFERENCES policies (id),
    hotpatch_id ${text} NOT NULL,
    reason ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL,
    PRIMARY KEY (policy_id, hotpatch_id)
  ) ${table};
  `;
}

/** `offer_ends`: what may begin until an instant, at which the gates are asked again. */
export function windowTables({ text, integer, table }: SqlWords): string {
  return `
  ALTER TABLE policies ADD COLUMN time_zone ${text};
  CREATE TABLE offer_ends (
    device_id ${text} NOT NULL,
    hotpatch_id ${text} NOT NULL,
    until_at ${integer} NOT NULL,
    PRIMARY KEY (device_id, hotpatch_id)
  ) ${table};
  CREATE INDEX offer_ends_by_end ON offer_ends (until_at, hotpatch_id);
  `;
}

/** `window_announcements`: what was announced already. */
export function announcementTables({ text, integer, table }: SqlWords): string {
  return `
  ALTER TABLE policies ADD COLUMN announce_hours ${integer} NOT NULL DEFAULT 0;
  CREATE TABLE window_announcements (
    policy_id ${text} NOT NULL,
    begins_at ${integer} NOT NULL,
    announced_at ${integer} NOT NULL,
    PRIMARY KEY (policy_id, begins_at)
  ) ${table};
  `;
}

export interface PolicyTables {
  window_announcements: { policy_id: string; begins_at: number; announced_at: number };
  policies: {
    id: string;
    title: string;
    hotpatch_enabled: number;
    approval_method: "automatic" | "manual";
    severities_json: string;
    products_json: string;
    deferral_days: number;
    /** Null: none. */
    deadline_days: number | null;
    grace_days: number;
    announce_hours: number;
    active_hours_json: string | null;
    windows_json: string;
    /** It counts as paused until then. */
    paused_until: number | null;
    pause_reason: string;
    created_at: number;
    created_by: string;
    /** Of devices that do not tell theirs. */
    time_zone: string | null;
  };
  /** What may begin until then (src/server/offers/ends-of-offers.ts). */
  offer_ends: { device_id: string; hotpatch_id: string; until_at: number };
  /** The groups of a policy; with rings, each of them is one, in their order. */
  policy_groups: {
    policy_id: string;
    position: number;
    group_id: string;
    /** Empty where the policy has no rings. */
    ring: string;
    /** Of a ring; null: that of the policy. */
    deferral_days: number | null;
  };
  policy_expedites: {
    policy_id: string;
    hotpatch_id: string;
    reason: string;
    created_at: number;
    created_by: string;
  };
}

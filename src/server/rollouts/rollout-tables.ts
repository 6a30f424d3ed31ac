/** The tables of phased rollouts, as one migration. */
import type { HealthSignal, RolloutState } from "../../api/schemas/rollouts.ts";
import type { SqlWords } from "../database/sql-words.ts";

/** The code `rollout/taken-back` came into the order of codes at the place 11. */
export function rolloutTables({ text, integer, table }: SqlWords): string {
  return `
  CREATE TABLE rollouts (
    id ${text} PRIMARY KEY,
    title ${text} NOT NULL,
    hotpatch_id ${text} NOT NULL,
    group_id ${text} NOT NULL,
    spec_json ${text} NOT NULL,
    state ${text} NOT NULL,
    ring ${integer} NOT NULL,
    verify_until ${integer},
    pace_from ${integer} NOT NULL,
    pace_granted ${integer} NOT NULL,
    fired_json ${text} NOT NULL,
    reason ${text} NOT NULL,
    outcome ${text},
    look_at ${integer},
    started_at ${integer},
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL,
    changed_at ${integer} NOT NULL
  ) ${table};
  CREATE INDEX rollouts_by_look ON rollouts (look_at);
  CREATE INDEX rollouts_by_hotpatch ON rollouts (hotpatch_id, state);
  CREATE TABLE rollout_devices (
    rollout_id ${text} NOT NULL REFERENCES rollouts (id),
    device_id ${text} NOT NULL REFERENCES devices (id),
    ring ${integer} NOT NULL,
    position ${integer} NOT NULL,
    granted_at ${integer},
    PRIMARY KEY (rollout_id, device_id)
  ) ${table};
  CREATE INDEX rollout_devices_by_ring ON rollout_devices (rollout_id, ring, position);
  CREATE INDEX rollout_devices_by_device ON rollout_devices (device_id);
  UPDATE offer_blocks SET rank = rank + 1 WHERE rank >= 11;
  CREATE TABLE device_health (
    device_id ${text} NOT NULL REFERENCES devices (id),
    hotpatch_id ${text} NOT NULL,
    signal ${text} NOT NULL,
    reason ${text} NOT NULL,
    at ${integer} NOT NULL,
    PRIMARY KEY (device_id, hotpatch_id, signal)
  ) ${table};
  `;
}

export interface RolloutTables {
  rollouts: {
    id: string;
    title: string;
    hotpatch_id: string;
    group_id: string;
    spec_json: string;
    state: RolloutState;
    /** The ring that is open. */
    ring: number;
    /** When the verification pause ends. */
    verify_until: number | null;
    /** From when the pace of the open ring counts, and how many of it were granted at that time. */
    pace_from: number;
    pace_granted: number;
    /** Thresholds that were reached, with the counts that people have been told of (src/server/rollouts/thresholds.ts). */
    fired_json: string;
    reason: string;
    outcome: "keep" | "revert" | "baseline" | null;
    /** When it is to be looked at again; null where nothing happens by itself. */
    look_at: number | null;
    started_at: number | null;
    created_at: number;
    created_by: string;
    changed_at: number;
  };
  /** The ring of each device; `granted_at` is set once. */
  rollout_devices: {
    rollout_id: string;
    device_id: string;
    ring: number;
    position: number;
    granted_at: number | null;
  };
  /** What agents noticed of hotpatches that are in place; the newest time counts. */
  device_health: { device_id: string; hotpatch_id: string; signal: HealthSignal; reason: string; at: number };
}

/** The tables of approvals, as one migration. */
import type { SqlWords } from "../database/sql-words.ts";

/**
 * `approvals` gets what is decided, by when, and by what; before, each row meant install, by a person.
 * `group_decisions` is what all of that comes to for each group.
 */
export function approvalTables({ text, integer, table }: SqlWords): string {
  return `
  CREATE TABLE decided_approvals (
    id ${text} PRIMARY KEY,
    hotpatch_id ${text} NOT NULL,
    group_id ${text} NOT NULL REFERENCES groups (id),
    action ${text} NOT NULL,
    deadline_at ${integer},
    source ${text} NOT NULL,
    source_id ${text} NOT NULL,
    reason ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL,
    UNIQUE (hotpatch_id, group_id, source, source_id)
  ) ${table};
  INSERT INTO decided_approvals
    (id, hotpatch_id, group_id, action, deadline_at, source, source_id, reason, created_at, created_by)
    SELECT id, hotpatch_id, group_id, 'install', NULL, 'person', '', '', created_at, created_by FROM approvals;
  DROP TABLE approvals;
  ALTER TABLE decided_approvals RENAME TO approvals;
  CREATE INDEX approvals_by_group ON approvals (group_id);
  CREATE INDEX approvals_by_source ON approvals (source, source_id);
  CREATE TABLE group_decisions (
    hotpatch_id ${text} NOT NULL,
    group_id ${text} NOT NULL REFERENCES groups (id),
    decided_for ${text} NOT NULL,
    action ${text} NOT NULL,
    deadline_at ${integer},
    PRIMARY KEY (hotpatch_id, group_id)
  ) ${table};
  CREATE INDEX group_decisions_by_group ON group_decisions (group_id, action);
  INSERT INTO group_decisions (hotpatch_id, group_id, decided_for, action)
    WITH RECURSIVE decided (hotpatch_id, group_id, decided_for) AS (
      SELECT hotpatch_id, group_id, group_id FROM approvals
      UNION
      SELECT decided.hotpatch_id, groups.id, decided.decided_for
      FROM decided JOIN groups ON groups.parent_id = decided.group_id
      WHERE NOT EXISTS (
        SELECT 1 FROM approvals
        WHERE approvals.group_id = groups.id AND approvals.hotpatch_id = decided.hotpatch_id
      )
    )
    SELECT hotpatch_id, group_id, decided_for, 'install' FROM decided;
  CREATE VIEW device_decisions AS
    SELECT member.device_id, decision.hotpatch_id, decision.action, decision.deadline_at
    FROM group_members AS member
    JOIN group_decisions AS decision ON decision.group_id = member.group_id
    JOIN group_members AS origin ON origin.group_id = decision.decided_for AND origin.device_id = member.device_id
    JOIN devices ON devices.id = member.device_id AND devices.state = 'enrolled'
    WHERE NOT EXISTS (
      SELECT 1 FROM group_members AS lower
      JOIN groups ON groups.id = lower.group_id
      WHERE lower.device_id = member.device_id AND groups.parent_id = member.group_id
    );
  `;
}

/** Declined updates, removals, rules, and when updates arrived. */
export function ruleTables({ text, integer, table }: SqlWords): string {
  return `
  CREATE TABLE declined_hotpatches (
    hotpatch_id ${text} PRIMARY KEY,
    source ${text} NOT NULL,
    reason ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL
  ) ${table};
  CREATE TABLE removed_actions (
    action_id ${text} PRIMARY KEY REFERENCES actions (id)
  ) ${table};
  CREATE TABLE approval_rules (
    id ${text} PRIMARY KEY,
    title ${text} NOT NULL,
    group_id ${text} NOT NULL REFERENCES groups (id),
    severities_json ${text} NOT NULL,
    products_json ${text} NOT NULL,
    filter ${text},
    deadline_days ${integer},
    enabled ${integer} NOT NULL,
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL
  ) ${table};
  CREATE TABLE arrivals (
    hotpatch_id ${text} PRIMARY KEY,
    arrived_at ${integer} NOT NULL
  ) ${table};
  `;
}

export interface ApprovalTables {
  approvals: {
    id: string;
    hotpatch_id: string;
    group_id: string;
    action: "install" | "removal" | "not-approved";
    deadline_at: number | null;
    source: "person" | "rule" | "policy" | "rollout" | "expedite";
    /** Empty of a person. */
    source_id: string;
    reason: string;
    created_at: number;
    created_by: string;
  };
  /** What the approvals come to for each group, by the tree (src/server/approvals/decide.ts); groups without a decision are left out. */
  group_decisions: {
    hotpatch_id: string;
    group_id: string;
    /** The group that it comes from: this one, or one above; who is left out of that one has it not. */
    decided_for: string;
    action: "install" | "removal" | "not-approved";
    deadline_at: number | null;
  };
  /**
   * A view: what is decided for each enrolled device by the groups that it is in, those below which it is in no other one.
   * It may have several rows for a hotpatch; install counts before removal, and removal before not approved.
   */
  device_decisions: {
    device_id: string;
    hotpatch_id: string;
    action: "install" | "removal" | "not-approved";
    deadline_at: number | null;
  };
  declined_hotpatches: {
    hotpatch_id: string;
    source: "person" | "superseded";
    reason: string;
    created_at: number;
    created_by: string;
  };
  /** Actions that are reverted since their hotpatch is approved for removal: another decision may offer them again. */
  removed_actions: { action_id: string };
  approval_rules: {
    id: string;
    title: string;
    group_id: string;
    severities_json: string;
    products_json: string;
    filter: string | null;
    deadline_days: number | null;
    enabled: number;
    created_at: number;
    created_by: string;
  };
  /** When the server saw each hotpatch in the catalog for the first time. */
  arrivals: { hotpatch_id: string; arrived_at: number };
}

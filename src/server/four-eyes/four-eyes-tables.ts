/** The tables of four eyes, as one migration. */
import type { RequestState } from "../../api/schemas/four-eyes.ts";
import type { SqlWords } from "../database/sql-words.ts";

export function fourEyesTables({ text, integer, table }: SqlWords): string {
  return `
  CREATE TABLE four_eyes (
    kind ${text} NOT NULL CHECK (kind IN ('group', 'policy')),
    subject ${text} NOT NULL,
    reason ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    created_by ${text} NOT NULL,
    PRIMARY KEY (kind, subject)
  ) ${table};
  CREATE TABLE approval_requests (
    id ${text} PRIMARY KEY,
    operation ${text} NOT NULL,
    asked_json ${text} NOT NULL,
    digest ${text} NOT NULL,
    state ${text} NOT NULL,
    reason ${text} NOT NULL,
    requested_by_json ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    expires_at ${integer} NOT NULL,
    decided_at ${integer},
    decided_by_json ${text},
    decision_reason ${text} NOT NULL
  ) ${table};
  CREATE INDEX approval_requests_by_state ON approval_requests (state, expires_at);
  CREATE INDEX approval_requests_by_digest ON approval_requests (digest, state);
  CREATE TABLE confirmed_subjects (
    subject ${text} PRIMARY KEY,
    confirmed_at ${integer} NOT NULL
  ) ${table};
  CREATE TABLE sign_in_vouchers (
    person_id ${text} NOT NULL,
    maker_id ${text} NOT NULL,
    PRIMARY KEY (person_id, maker_id)
  ) ${table};
  `;
}

export interface FourEyesTables {
  /** What asks for a second person; the subject is a group or a policy. */
  four_eyes: { kind: "group" | "policy"; subject: string; reason: string; created_at: number; created_by: string };
  approval_requests: {
    id: string;
    /** The name of a route. */
    operation: string;
    asked_json: string;
    digest: string;
    state: RequestState;
    reason: string;
    requested_by_json: string;
    created_at: number;
    expires_at: number;
    decided_at: number | null;
    decided_by_json: string | null;
    decision_reason: string;
  };
  /** `approval:ID`, `policy:ID`, `rule:ID` or `rollout:ID` that a second person confirmed as it stands, or that stood before four eyes were asked for. */
  confirmed_subjects: { subject: string; confirmed_at: number };
  /** Who made a sign-in link for somebody else, and so may have used it himself. Outlives both, so that leaving and coming back changes nothing. */
  sign_in_vouchers: { person_id: string; maker_id: string };
}

/** The tables as Kysely sees them. Instants are milliseconds since 1970 UTC; `*_json` columns hold JSON. */
import type { Generated, Kysely } from "kysely";
import type { BlockCode } from "../../api/block-codes.ts";
import type { ProductState, StateCode } from "../../api/device-state-table.ts";
import type { Role, SignInMethod } from "../../api/schemas/access.ts";
import type { ActionState } from "../../api/schemas/actions.ts";
import type { EventKind } from "../../api/schemas/events.ts";
import type { KnownIssue } from "../../api/schemas/holds.ts";
import type { ApprovalTables } from "../approvals/approval-tables.ts";
import type { FourEyesTables } from "../four-eyes/four-eyes-tables.ts";
import type { PolicyTables } from "../policies/policy-tables.ts";
import type { RolloutTables } from "../rollouts/rollout-tables.ts";
import type { WebhookTables } from "../webhooks/webhook-tables.ts";

export interface Tables extends ApprovalTables, FourEyesTables, PolicyTables, RolloutTables, WebhookTables {
  devices: {
    id: string;
    name: string;
    state: "enrolled" | "revoked";
    enrolled_at: number;
    last_seen_at: number | null;
    facts_revision: number;
    /** Rises when the server changes what the agent has to do. */
    assignment_revision: number;
  };
  /** `changed_at` is 0 of what was told before that was kept. */
  facts: { device_id: string; name: string; value_json: string; changed_at: number };
  device_tags: { device_id: string; tag: string };
  /** `parent_id` is null of `all` alone, `filter` of groups that devices are put into by hand. */
  groups: { id: string; title: string; created_at: number; parent_id: string | null; filter: string | null };
  /** Who is in a group in the end; worked out from the three tables below and the tree (src/server/groups/membership.ts). */
  group_members: { group_id: string; device_id: string };
  /** Who is in it by hand, or by its filter. */
  group_own: { group_id: string; device_id: string };
  /** Groups whose devices are left out. */
  group_exclusions: { group_id: string; excluded_id: string };
  /** Devices that are left out. */
  group_exceptions: { group_id: string; device_id: string };
  actions: {
    id: string;
    device_id: string;
    hotpatch_id: string;
    wanted: "applied" | "reverted";
    state: ActionState;
    reason: string;
    created_at: number;
    changed_at: number;
    times_json: string;
    processes_json: string;
    /** Who began to take it back, since it was offered last. */
    taken_back_by: "person" | "guard" | null;
  };
  /** What keeps a hotpatch that is wanted off a device (src/server/offers). */
  offer_blocks: {
    device_id: string;
    hotpatch_id: string;
    code: BlockCode;
    /** Which of those that have this code: the id of a rule, a hold, a policy; or empty. */
    subject: string;
    /** The place of the code in the list of codes: the lowest one counts. */
    rank: number;
    reason: string;
    helps: string;
    until_at: number | null;
    since: number;
  };
  /** What the catalog told of hotpatches that were ever wanted. */
  known_hotpatches: { id: string; product: string; sequence: number; facts_json: string };
  /** Worked out from actions, blocks and what is wanted (src/server/device-states); a device that is not targeted has no row. */
  device_states: {
    device_id: string;
    product: string;
    state: Exclude<ProductState, "notTargeted">;
    code: StateCode;
    /** What it is about. */
    hotpatch_id: string;
    sequence: number;
    /** The newest one that is in memory. */
    in_place_id: string | null;
    in_place_sequence: number | null;
    reason: string;
    helps: string;
    since: number;
    until_at: number | null;
  };
  known_issues: {
    id: string;
    title: string;
    text: string;
    status: KnownIssue["status"];
    originating: string | null;
    resolved_by: string | null;
    created_at: number;
    changed_at: number;
  };
  known_issue_hotpatches: { issue_id: string; hotpatch_id: string };
  known_issue_history: {
    issue_id: string;
    number: number;
    at: number;
    made_by: string;
    why: string;
    changes_json: string;
  };
  /** `resolved_by`: this hotpatch and newer ones of its product pass. */
  holds: {
    id: string;
    filter: string | null;
    reason: string;
    issue_id: string | null;
    resolved_by: string | null;
    created_at: number;
    created_by: string;
    released_at: number | null;
    released_by: string | null;
    release_reason: string | null;
  };
  hold_targets: { hold_id: string; kind: "hotpatch" | "product"; target: string };
  /** What administrators changed of the rules that ship, or added to them. */
  eligibility_rules: {
    id: string;
    filter: string;
    products_json: string;
    reason: string;
    helps: string;
    unknown_facts: "blocks" | "passes";
    enabled: number;
    changed_at: number;
    changed_by: string;
  };
  eligibility_history: { rule_id: string; number: number; at: number; made_by: string; why: string; rule_json: string };
  reports: { sequence: Generated<number>; device_id: string; key: string; digest: Uint8Array };
  events: {
    sequence: number;
    at: number;
    kind: EventKind;
    subject: string;
    data_json: string;
    link: string | null;
    by_json: string | null;
  };
  /** `answer_json` is null where the answer held a secret. */
  idempotency_keys: {
    principal: string;
    key: string;
    fingerprint: string;
    answer_json: string | null;
    expires_at: number;
  };
  one_time_words: {
    id: string;
    purpose: "enrolment" | "sign-in";
    digest: Uint8Array;
    expires_at: number;
    group_id: string | null;
    used_at: number | null;
    /** For an enrolment: the device, and the SHA-256 of its public key, so that the same machine may ask again. */
    device_id: string | null;
    key_digest: Uint8Array | null;
    /** For a sign-in link: whom it lets in. */
    person_id: string | null;
  };
  /** `events` holds the number and the link of the newest event; its row is locked from the numbering until the end of the transaction. */
  counters: { name: "events"; value: number; link: string };
  /** `catalog`: the version of the newest listing that any server has seen. `authority`: the SHA-256 of the certificate of the authority that all servers of this database have (base64url). */
  settings: { name: "authority" | "catalog" | "approvals"; value: string };
  /** What the catalog said last: facts as the publisher signed them; `withdrawn_json` of what is not listed any more. */
  catalog_entries: {
    kind: "hotpatch" | "baseline";
    id: string;
    facts_json: string;
    withdrawn_json: string | null;
    changed_at: number;
  };
  group_servicing: {
    group_id: string;
    channel: "hotpatch" | "standard";
    preview: number;
    may_leave_track: number;
    reason: string;
    changed_at: number;
    changed_by: string;
  };
  /** `id` is that of the advisory or an alias, `source` its publisher and document. */
  advisories: { id: string; source: string; note_json: string; imported_at: number };
  /** `password` is a PHC string (src/server/sign-in/password-hash.ts), null of whoever has none; `issuer` and `subject` are those of OpenID Connect (src/server/sign-in/oidc.ts). */
  people: {
    id: string;
    name: string;
    title: string;
    state: "enabled" | "disabled";
    created_at: number;
    password: string | null;
    issuer: string | null;
    subject: string | null;
  };
  grants: { person_id: string; role: Role; group_id: string };
  /** `address` and `program` are where it came from, for the person to know it again. */
  sessions: {
    digest: Uint8Array;
    id: string;
    person_id: string;
    method: SignInMethod;
    created_at: number;
    seen_at: number;
    expires_at: number;
    address: string;
    program: string;
  };
  api_tokens: {
    id: string;
    person_id: string;
    title: string;
    digest: Uint8Array;
    created_at: number;
    expires_at: number;
    used_at: number | null;
  };
  token_grants: { token_id: string; role: Role; group_id: string };
  /** `id` is the credential's own, base64url; `public_key` is a COSE key (RFC 9052). */
  passkeys: {
    id: string;
    person_id: string;
    title: string;
    public_key: Uint8Array;
    counter: number;
    created_at: number;
    used_at: number | null;
  };
  /** Sign-ins that are under way, by the SHA-256 of the secret that the browser holds. */
  sign_in_flows: {
    digest: Uint8Array;
    purpose: "oidc" | "passkey" | "new-passkey";
    data_json: string;
    expires_at: number;
  };
  /** `name` is whom or where the guesses are about; src/server/sign-in/failures.ts says how. */
  sign_in_failures: { name: string; failures: number; failed_at: number };
}

/** The database, or a transaction on it. */
export type Database = Kysely<Tables>;

/** The tables of people, their roles, and what proves who they are. */
import type { SqlWords } from "./sql-words.ts";

/** Whoever was signed in before there were people signs in anew. */
export function accessTables(words: SqlWords): string {
  return peopleTables(words) + proofTables(words);
}

function peopleTables({ text, integer, table }: SqlWords): string {
  return `
  ALTER TABLE events ADD COLUMN by_json ${text};
  CREATE TABLE people (
    id ${text} PRIMARY KEY,
    name ${text} NOT NULL UNIQUE,
    title ${text} NOT NULL,
    state ${text} NOT NULL CHECK (state IN ('enabled', 'disabled')),
    created_at ${integer} NOT NULL,
    password ${text},
    issuer ${text},
    subject ${text},
    UNIQUE (issuer, subject)
  ) ${table};
  CREATE TABLE grants (
    person_id ${text} NOT NULL REFERENCES people (id),
    role ${text} NOT NULL,
    group_id ${text} NOT NULL REFERENCES groups (id),
    PRIMARY KEY (person_id, role, group_id)
  ) ${table};
  CREATE INDEX grants_by_group ON grants (group_id);
  INSERT INTO people (id, name, title, state, created_at)
    VALUES ('${firstPersonId}', 'administrator', 'The first administrator', 'enabled', 0);
  INSERT INTO grants (person_id, role, group_id) VALUES
    ('${firstPersonId}', 'auditor', 'all'), ('${firstPersonId}', 'operator', 'all'), ('${firstPersonId}', 'approver', 'all'),
    ('${firstPersonId}', 'publisher', 'all'), ('${firstPersonId}', 'administrator', 'all');
  `;
}

function proofTables({ text, integer, bytes, table }: SqlWords): string {
  return `
  ALTER TABLE one_time_words ADD COLUMN person_id ${text} REFERENCES people (id);
  DROP TABLE sessions;
  CREATE TABLE sessions (
    digest ${bytes} PRIMARY KEY,
    id ${text} NOT NULL UNIQUE,
    person_id ${text} NOT NULL REFERENCES people (id),
    method ${text} NOT NULL,
    created_at ${integer} NOT NULL,
    seen_at ${integer} NOT NULL,
    expires_at ${integer} NOT NULL,
    address ${text} NOT NULL,
    program ${text} NOT NULL
  ) ${table};
  CREATE INDEX sessions_by_person ON sessions (person_id);
  CREATE TABLE api_tokens (
    id ${text} PRIMARY KEY,
    person_id ${text} NOT NULL REFERENCES people (id),
    title ${text} NOT NULL,
    digest ${bytes} NOT NULL UNIQUE,
    created_at ${integer} NOT NULL,
    expires_at ${integer} NOT NULL,
    used_at ${integer}
  ) ${table};
  CREATE INDEX api_tokens_by_person ON api_tokens (person_id);
  CREATE TABLE token_grants (
    token_id ${text} NOT NULL REFERENCES api_tokens (id),
    role ${text} NOT NULL,
    group_id ${text} NOT NULL REFERENCES groups (id),
    PRIMARY KEY (token_id, role, group_id)
  ) ${table};
  CREATE INDEX token_grants_by_group ON token_grants (group_id);
  CREATE TABLE passkeys (
    id ${text} PRIMARY KEY,
    person_id ${text} NOT NULL REFERENCES people (id),
    title ${text} NOT NULL,
    public_key ${bytes} NOT NULL,
    counter ${integer} NOT NULL,
    created_at ${integer} NOT NULL,
    used_at ${integer}
  ) ${table};
  CREATE INDEX passkeys_by_person ON passkeys (person_id);
  CREATE TABLE sign_in_flows (
    digest ${bytes} PRIMARY KEY,
    purpose ${text} NOT NULL,
    data_json ${text} NOT NULL,
    expires_at ${integer} NOT NULL
  ) ${table};
  CREATE TABLE sign_in_failures (
    name ${text} PRIMARY KEY,
    failures ${integer} NOT NULL,
    failed_at ${integer} NOT NULL
  ) ${table};
  `;
}

/** The person whom the first sign-in link is for. */
export const firstPersonId = "00000000-0000-4000-8000-000000000001";

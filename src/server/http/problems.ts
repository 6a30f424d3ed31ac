/** The one place where errors and refusals become HTTP answers. */
import { type Problem, problemOf } from "../../api/problem.ts";
import { type ErrorKind, RebootlessError } from "../../base/errors.ts";
import { RefusalError } from "../../base/refusal.ts";
import { isDatabaseAway, isStorageFull } from "../database/postgres-errors.ts";

const statuses: Readonly<Record<string, number>> = {
  "access/credentials-missing": 401,
  "access/forbidden": 403,
  "access/scope": 403,
  "access/origin": 403,
  "access/rate-limited": 429,
  "access/token-invalid": 403,
  "access/device-revoked": 403,
  "access/password-wrong": 403,
  "access/password-weak": 400,
  "access/sign-in-expired": 403,
  "access/provider-refused": 403,
  "access/person-unknown": 403,
  "enrolment/request-invalid": 400,
  "server/no-catalog": 409,
  "server/no-provider": 404,
  "server/provider-away": 503,
  "server/busy": 503,
  "catalog/hotpatch-unknown": 404,
  "server/storage": 507,
  "server/database-away": 503,
  "request/not-found": 404,
  "request/too-large": 413,
  "request/media-type": 415,
  "request/key-reused": 422,
  "request/answer-gone": 409,
  "request/changed-meanwhile": 412,
  "repository/busy": 503,
  "failure/catalog-unreachable": 503,
};

const ofKind: Readonly<Record<ErrorKind, number>> = { usage: 400, input: 400, failure: 502, bug: 500 };

/** After how many seconds it makes sense to ask again (RFC 9110 section 10.2.3). */
const retrySeconds: Readonly<Record<string, number>> = {
  "access/rate-limited": 60,
  "server/busy": 5,
  "server/provider-away": 30,
  "server/database-away": 2,
};

export function retryAfter({ code }: Problem): number | undefined {
  return retrySeconds[code];
}

/** Codes of Fastify's own, for what it declines before a handler sees it. */
const fastifyCodes: Readonly<Record<string, readonly [code: string, message: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ["request/too-large", "The body is larger than this server reads."],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["request/media-type", "A body has to be application/json."],
  FST_ERR_CTP_EMPTY_TYPE: ["request/media-type", "A body has to be application/json."],
};

/** SQLITE_READONLY, SQLITE_IOERR and SQLITE_FULL, without what their upper bits add. */
const storageErrors: readonly number[] = [8, 10, 13];

/** What to answer to whatever a handler threw. A bug is answered without particulars, which may hold anything. */
export function problemFor(thrown: unknown): Problem {
  if (thrown instanceof RefusalError) {
    const [first] = thrown.refusals;
    if (first !== undefined) {
      const message = thrown.refusals.map((refusal) => refusal.message).join(" ");
      return problemOf(first.code, statuses[first.code] ?? 409, message, { ...first.details });
    }
  }
  if (thrown instanceof RebootlessError && thrown.kind !== "bug") {
    const status = statuses[thrown.code] ?? ofKind[thrown.kind];
    return problemOf(thrown.code, status, thrown.message, { ...thrown.details });
  }
  const { code = "", statusCode, errcode } = thrown as { code?: string; statusCode?: number; errcode?: number };
  const sqliteFull = code === "ERR_SQLITE_ERROR" && errcode !== undefined && storageErrors.includes(errcode & 0xff);
  if (sqliteFull || isStorageFull(thrown)) {
    const detail =
      "The server cannot write its database: its disk is full or broken. Nothing of this request was done.";
    return problemOf("server/storage", statuses["server/storage"] ?? 507, detail);
  }
  if (isDatabaseAway(thrown)) {
    const detail = "The database does not answer at the moment; whether this was done is not certain. Ask again soon.";
    return problemOf("server/database-away", statuses["server/database-away"] ?? 503, detail);
  }
  const known = fastifyCodes[code];
  if (known !== undefined) return problemOf(known[0], statuses[known[0]] ?? 400, known[1]);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return problemOf("request/invalid", 400, "The request cannot be read.");
  }
  return problemOf("bug/invariant", 500, "Something went wrong in the server that should not; its log says what.");
}

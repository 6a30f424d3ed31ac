/**
 * The one error type of Rebootless.
 *
 * Every error that a user can meet has a code from a closed union, a message that says what to do, and the cause it grew from.
 * Its kind decides the exit code of the command and, where nothing nearer is known, the status of an HTTP answer.
 */

/** `input`: the caller gave something wrong. `failure`: the work was tried and did not hold. `bug`: our own invariant broke. */
export type ErrorKind = "usage" | "input" | "failure" | "bug";

export const errorCodes = {
  "usage/arguments": "usage",
  "input/file-missing": "input",
  "input/file-unreadable": "input",
  "input/too-large": "input",
  "input/json-invalid": "input",
  "input/package-not-found": "input",
  "input/process-missing": "input",
  "binary/out-of-bounds": "input",
  "binary/number": "input",
  "binary/string": "input",
  "elf/unsupported": "input",
  "elf/damaged": "input",
  "elf/unwind-information": "input",
  "key/invalid": "input",
  "key/exists": "input",
  "key/unknown": "input",
  "repository/missing": "input",
  "repository/exists": "input",
  "repository/damaged": "failure",
  "repository/busy": "failure",
  "request/invalid": "input",
  "request/too-large": "input",
  "request/media-type": "input",
  "request/not-found": "input",
  "request/filter": "input",
  "request/key-reused": "input",
  "request/answer-gone": "input",
  "request/changed-meanwhile": "input",
  "server/not-running": "failure",
  "server/state-busy": "failure",
  "server/state-newer": "failure",
  "server/state-damaged": "failure",
  "server/storage": "failure",
  "server/database-away": "failure",
  "server/database-refused": "failure",
  "server/answer": "failure",
  "server/listen": "failure",
  "agent/not-enrolled": "input",
  "agent/enrolled": "input",
  "agent/state-busy": "failure",
  "agent/state-damaged": "failure",
  "agent/server-away": "failure",
  "failure/backup-hook": "failure",
  "server/unknown-name": "input",
  "server/wrong-authority": "failure",
  "failure/catalog-unreachable": "failure",
  "failure/catalog-state": "failure",
  "failure/file-write": "failure",
  "failure/command": "failure",
  "failure/apply": "failure",
  "failure/verify": "failure",
  "failure/revert": "failure",
  "failure/agent-lost": "failure",
  "failure/agent-error": "failure",
  "failure/rehearsal": "failure",
  "failure/system-call": "failure",
  "failure/remote-call": "failure",
  "failure/target-memory": "failure",
  "bug/invariant": "bug",
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCodes;

export class RebootlessError extends Error {
  override readonly name = "RebootlessError";
  readonly code: ErrorCode;
  /** Machine-readable particulars, such as the path or the offset; never a secret. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get kind(): ErrorKind {
    return errorCodes[this.code];
  }
}

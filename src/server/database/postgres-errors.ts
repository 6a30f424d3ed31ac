/**
 * What the errors of a PostgreSQL connection mean to us.
 *
 * Codes are SQLSTATEs (PostgreSQL documentation, appendix A) and the errno names of sockets.
 */

/** The transaction was undone for the sake of another one, and may be tried again: serialization_failure, deadlock_detected. */
const undone: ReadonlySet<string> = new Set(["40001", "40P01"]);

/**
 * The database is not there, or not for us, at the moment: classes 08 (connection) and 57P (shut down, starting, dropped),
 * too_many_connections, read_only_sql_transaction (a standby), lock_not_available, query_canceled, idle_in_transaction_session_timeout,
 * and what a socket says.
 */
const away =
  /^(08...|57P0.|53300|25006|55P03|57014|25P03|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOENT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EACCES)$/;

/** What `pg` and `pg-pool` say without a code. */
const awayMessages: readonly RegExp[] = [
  /^Connection terminated/,
  /^timeout exceeded when trying to connect/,
  /^Client has encountered a connection error and is not queryable/,
  /^Client was closed and is not queryable/,
  /^Cannot use a pool after calling end on the pool/,
  /^Query read timeout/,
  /^driver has already been destroyed/,
];

function codeOf(thrown: unknown): string {
  const { code } = thrown as { code?: unknown };
  return typeof code === "string" ? code : "";
}

export function isUndone(thrown: unknown): boolean {
  return thrown instanceof Error && undone.has(codeOf(thrown));
}

/** Whether this was thrown since PostgreSQL cannot be reached or works for nobody; asking again in a while makes sense. */
export function isDatabaseAway(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  // Several addresses were tried, and none answered.
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return thrown.errors.every(isDatabaseAway);
  return away.test(codeOf(thrown)) || awayMessages.some((message) => message.test(thrown.message));
}

/** disk_full, and io_error as PostgreSQL reports it. */
export function isStorageFull(thrown: unknown): boolean {
  return thrown instanceof Error && ["53100", "58030"].includes(codeOf(thrown));
}

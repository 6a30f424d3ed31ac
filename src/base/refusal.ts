/**
 * A refusal is an answer, not a failure: the request was understood, and carrying it out would not be safe or allowed.
 *
 * Functions that may refuse return `Refused`; `RefusalError` carries refusals through code that can only throw.
 */

export const refusalCodes = [
  // the artifact
  "hotpatch/not-a-hotpatch",
  "hotpatch/version-unknown",
  "hotpatch/truncated",
  "hotpatch/trailing-bytes",
  "hotpatch/too-large",
  "hotpatch/envelope-invalid",
  "hotpatch/manifest-invalid",
  "hotpatch/path-out-of-bounds",
  "hotpatch/payload-size",
  "hotpatch/payload-altered",
  "hotpatch/unsigned",
  "hotpatch/signature-invalid",
  "hotpatch/signer-unknown",
  "hotpatch/no-trusted-key",
  // keys and the folders that hold them
  "key/exposed",
  // writing a catalog
  "repository/keys-missing",
  "repository/id-taken",
  "repository/expired",
  "repository/withdrawn",
  "repository/not-published",
  "repository/not-delegated",
  // what a catalog, or whoever stands between, sends
  "catalog/no-root",
  "catalog/rollback",
  "catalog/frozen",
  "catalog/mixed",
  "catalog/too-large",
  "catalog/too-slow",
  "catalog/key-unknown",
  "catalog/too-few-signatures",
  "catalog/expired",
  "catalog/altered",
  "catalog/metadata-invalid",
  "catalog/incomplete",
  "catalog/hotpatch-unknown",
  "catalog/withdrawn",
  // asking the server
  "access/credentials-missing",
  "access/forbidden",
  "access/scope",
  "access/origin",
  "access/rate-limited",
  "access/token-invalid",
  "access/device-revoked",
  "access/person-exists",
  "access/person-disabled",
  "access/last-administrator",
  "access/password-wrong",
  "access/password-weak",
  "access/sign-in-expired",
  "access/provider-refused",
  "access/person-unknown",
  "enrolment/request-invalid",
  "facts/revision-stale",
  "report/key-reused",
  "action/transition",
  "action/blocked",
  "hold/released",
  "approval/exists",
  "approval/managed",
  "approval/waiting",
  "approval/not-waiting",
  "approval/same-person",
  "approval/person-unproven",
  "approval/requester-gone",
  "approval/content-changed",
  "approval/reason-missing",
  "approval/too-few-people",
  "policy/paused",
  "policy/not-paused",
  "policy/hotpatch-off",
  "policy/in-use",
  "rollout/transition",
  "rollout/exists",
  "rollout/in-use",
  "rollout/not-ended",
  "group/exists",
  "group/circle",
  "group/dynamic",
  "group/static",
  "group/has-children",
  "group/permanent",
  "server/no-catalog",
  "server/no-provider",
  "server/provider-away",
  "server/busy",
  // the agent of a machine
  "backup/hook-unsafe",
  "backup/failed",
  "backup/timeout",
  "agent/authority-unknown",
  "agent/trust-missing",
  // building
  "build/nothing-changed",
  "build/syntax",
  "build/unreachable-change",
  "build/rehearsal",
  "build/ambiguous-variable",
  "build/changed-data",
  "build/changed-layout",
  "build/changed-assembly",
  "build/new-thread-variable",
  "build/source-missing",
  "build/dependencies-missing",
  "build/no-build-id",
  "build/no-compiler-seen",
  "build/not-matched",
  "build/patch-does-not-fit",
  "build/shared-code",
  "build/unresolved-symbol",
  // the target process
  "target/gone",
  "target/stopped",
  "target/agent-failed",
  "target/not-permitted",
  "target/not-node",
  "target/not-this-runtime",
  "target/starting",
  "target/inspector-disabled",
  "target/permission-model",
  "target/debugger-attached",
  "target/inspector-open",
  "target/port-taken",
  "target/own-signal-handler",
  "target/unresponsive",
  "target/wrong-process",
  "target/node-version",
  "target/package-absent",
  "target/version-mismatch",
  "target/not-applied",
  "target/already-applied",
  "target/conflicting-hotpatch",
  "target/no-thread",
  "target/no-gadget",
  "target/shadow-stack",
  "target/main-thread-ended",
  "target/shared-memory",
  "target/seccomp",
  "target/foreign-hook",
  "target/no-build-id",
  "target/function-differs",
  "target/entry-too-short",
  "target/symbol-missing",
  "target/relocation",
  "target/no-room",
  "target/loaded-twice",
  "target/hook-failed",
  "target/call-failed",
  "target/unwinder",
  "target/record-damaged",
  // the plan
  "plan/pause-over-budget",
  "plan/rehearsal",
  "plan/active-function",
  "plan/no-way",
] as const;

export type RefusalCode = (typeof refusalCodes)[number];

export interface Refusal {
  readonly code: RefusalCode;
  /** One or two sentences: what is in the way, and what would help. */
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export class RefusalError extends Error {
  override readonly name = "RefusalError";
  readonly refusals: readonly Refusal[];

  constructor(refusals: Refusal | readonly Refusal[], options: { cause?: unknown } = {}) {
    const all = Array.isArray(refusals) ? (refusals as readonly Refusal[]) : [refusals as Refusal];
    super(all.map((refusal) => refusal.message).join("\n"), options.cause === undefined ? undefined : options);
    this.refusals = all;
  }
}

export function refuse(code: RefusalCode, message: string, details?: Record<string, unknown>): never {
  throw new RefusalError(details === undefined ? { code, message } : { code, message, details });
}

/**
 * How a request is declined: problem details (RFC 9457), with a code from the closed lists of errors and refusals.
 */
import type { Static } from "typebox";
import { Type } from "typebox";
import { type ErrorCode, errorCodes, RebootlessError } from "../base/errors.ts";
import { type RefusalCode, RefusalError, refusalCodes } from "../base/refusal.ts";
import { record } from "./schemas/basics.ts";

export const problemMediaType = "application/problem+json";

export const Problem = record(
  {
    /** `urn:rebootless:problem:CODE`, with the slash of the code as a colon (RFC 9457 section 3.1.1). */
    type: Type.String(),
    /** The code in words, the same for each occurrence (3.1.3). */
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    /** What is in the way here, and what would help (3.1.4). */
    detail: Type.String(),
    /** An extension (3.2): the code as commands show it. */
    code: Type.Enum([...refusalCodes, ...Object.keys(errorCodes)]),
    /** An extension: particulars for programs; never a secret. */
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { $id: "Problem" },
);
export type Problem = Static<typeof Problem>;

/** The fields that follow from the code alone. */
export function problemOf(code: string, status: number, detail: string, details?: Record<string, unknown>): Problem {
  const problem = {
    type: `urn:rebootless:problem:${code.replace("/", ":")}`,
    title: code.replace(/^.*\//, "").replaceAll("-", " "),
    status,
    detail,
    code: code as Problem["code"],
  };
  return details === undefined || Object.keys(details).length === 0 ? problem : { ...problem, details };
}

/** What a server declined with, as if it had been declined here; `undefined` where the answer is no problem of ours. */
export function errorOfProblem(problem: unknown): RefusalError | RebootlessError | undefined {
  const { code, detail, details } = (problem ?? {}) as { code?: unknown; detail?: unknown; details?: unknown };
  if (typeof code !== "string") return undefined;
  const message = String(detail ?? "");
  const particulars = typeof details === "object" && details !== null ? (details as Record<string, unknown>) : {};
  if (refusalCodes.some((known) => known === code)) {
    return new RefusalError({ code: code as RefusalCode, message, details: particulars });
  }
  if (!Object.hasOwn(errorCodes, code)) return undefined;
  return new RebootlessError(code as ErrorCode, message, { details: particulars });
}

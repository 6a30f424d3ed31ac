/**
 * Checking of parsed JSON against a TypeBox schema, with the path of the field that is wrong.
 *
 * A schema is compiled at its first use and once for the life of the process.
 */
import type { Static, TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import type { TLocalizedValidationError } from "typebox/error";
import { printable } from "./printable.ts";

export interface SchemaFault {
  /** A JSON Pointer (RFC 6901) to the field, printable; empty for the document itself. */
  readonly field: string;
  /** A clause such as `must be integer`, printable. */
  readonly problem: string;
}

const compiled = new WeakMap<TSchema, Validator>();

/** The value, typed, when it fits the schema; otherwise hands the first fault to `fail`, which throws. */
export function checkSchema<Schema extends TSchema>(
  schema: Schema,
  value: unknown,
  fail: (fault: SchemaFault) => never,
): Static<Schema> {
  let validator = compiled.get(schema);
  if (validator === undefined) {
    validator = Compile(schema) as Validator;
    compiled.set(schema, validator);
  }
  if (!validator.Check(value)) {
    fail(describe(validator.Errors(value)));
  }
  return value as Static<Schema>;
}

function describe(errors: readonly TLocalizedValidationError[]): SchemaFault {
  const relevant = errors.filter((error) => !inOtherBranch(error, errors) && error.keyword !== "anyOf");
  const error = relevant[0] ?? errors.find((candidate) => candidate.keyword === "anyOf") ?? errors[0];
  if (error === undefined) {
    return { field: "", problem: "does not fit the schema" };
  }
  if (error.keyword === "boolean") {
    return { field: printable(error.instancePath), problem: "is not a field of this schema" };
  }
  return { field: printable(error.instancePath), problem: printable(error.message) };
}

/** Branches of a union are told apart by a constant; the faults of a branch whose constant differs say nothing about the one that was meant. */
function inOtherBranch(error: TLocalizedValidationError, errors: readonly TLocalizedValidationError[]): boolean {
  return errors.some((other) => {
    const branch = /^(.*\/anyOf\/\d+)\/properties\/[^/]+$/.exec(other.schemaPath)?.[1];
    return (
      other.keyword === "const" &&
      branch !== undefined &&
      (error.schemaPath === branch || error.schemaPath.startsWith(`${branch}/`))
    );
  });
}

/**
 * What the contract's values are made of.
 *
 * A schema is a JSON Schema (2020-12) at run time and a type at compile time.
 * Every object is closed, and every string, list and number that is read is bounded.
 * Instants are RFC 3339 date-times in UTC with milliseconds; durations say their unit in their name.
 */
import { type TProperties, type TSchema, Type } from "typebox";
import { apiLimits } from "../api-limits.ts";

export const closed = { additionalProperties: false } as const;

/** An object without unknown fields; `$id` names it in the OpenAPI document. */
export function record<Properties extends TProperties>(properties: Properties, options: { $id?: string } = {}) {
  return Type.Object(properties, { ...closed, ...options });
}

/** One of a list of words. */
export function words<const Words extends readonly string[]>(list: Words) {
  return Type.Unsafe<Words[number]>(Type.Enum([...list]));
}

/** A version 4 UUID (RFC 9562 section 5.4) in lower case. */
export const Uuid = Type.String({ pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$" });
export const GroupId = Type.String({ pattern: "^[a-z0-9][a-z0-9-]{0,62}$" });
export const HotpatchId = Type.String({ pattern: "^[0-9A-Za-z][0-9A-Za-z._@+-]{0,199}$" });
export const Instant = Type.String({ pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$" });
export const Tag = Type.String({ pattern: "^[a-z0-9][a-z0-9._:/-]{0,62}$" });
/** An expression over devices (docs/filters.md). */
export const FilterText = Type.String({ minLength: 1, maxLength: 2000 });
export const Title = Type.String({ minLength: 1, maxLength: 200 });
export const Reason = Type.String({ maxLength: 2000 });
export const Pem = Type.String({ minLength: 1, maxLength: 8192 });
export const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** A page of a list: `next` is the cursor of the following page, absent on the last. */
export function pageOf<Item extends TSchema>(item: Item) {
  return record({ items: Type.Array(item), next: Type.Optional(Type.String()) });
}

export const PageQuery = {
  /** Where an earlier page ended: its `next`, taken as it is. */
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 400, pattern: "^[0-9A-Za-z_-]+$" })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: apiLimits.pageItems })),
};

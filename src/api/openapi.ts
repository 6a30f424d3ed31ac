/**
 * The OpenAPI 3.1 document of the table of routes.
 *
 * TypeBox schemas are JSON Schemas already, which is what OpenAPI 3.1.0 section 4.8.24 takes; those with an `$id` go under `components` once, and are referred to.
 */
import type { TSchema } from "typebox";
import { Problem, problemMediaType } from "./problem.ts";
import { isForPeople, type RouteSpec } from "./routes/route-spec.ts";
import { type RouteName, routes } from "./routes.ts";
import { DryRun, dryRunMediaType } from "./schemas/dry-run.ts";

type Json = Record<string, unknown>;

/** Plain JSON, newly made at each call. `version` is that of the product. */
export function openApiDocument(version: string): Json {
  const components = new Map<string, unknown>();
  const paths: Record<string, Json> = {};
  for (const [name, spec] of Object.entries(routes) as [RouteName, RouteSpec][]) {
    const path = paths[spec.path] ?? {};
    path[spec.method.toLowerCase()] = operation(name, spec, components);
    paths[spec.path] = path;
  }
  return {
    openapi: "3.1.0",
    info: { title: "Rebootless", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    paths,
    components: {
      schemas: Object.fromEntries([...components].sort(([left], [right]) => (left < right ? -1 : 1))),
      securitySchemes: {
        agent: { type: "mutualTLS", description: "The certificate that enrolment gave the device." },
        session: { type: "apiKey", in: "cookie", name: "__Host-rebootless-session" },
        token: { type: "http", scheme: "bearer", description: "An API token, which begins with rbl_." },
      },
    },
  };
}

function operation(name: string, spec: RouteSpec, components: Map<string, unknown>): Json {
  const parameters = [...fields(spec, "params", "path", components), ...fields(spec, "query", "query", components)];
  if (isForPeople(spec) && spec.method === "POST") parameters.push(idempotencyKey);
  if (spec.method !== "GET" && isRead(spec.path)) parameters.push(ifMatch);
  if (spec.method === "GET" && spec.response !== undefined) parameters.push(ifNoneMatch);
  const isTriable = isForPeople(spec) && spec.method !== "GET" && spec.untriable !== true;
  if (isTriable) parameters.push(dryRun);
  const content = (schema: TSchema) => ({ "application/json": { schema: referred(schema, components) } });
  const answer: Json = { description: spec.summary };
  if (spec.response !== undefined) answer.content = content(spec.response);
  if (spec.mediaType !== undefined) answer.content = { [spec.mediaType]: { schema: { type: "string" } } };
  return {
    operationId: name,
    summary: spec.summary,
    security: security(spec),
    ...(isForPeople(spec) ? { "x-roles": spec.roles, "x-scoped": spec.scoped === true } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(spec.body === undefined ? {} : { requestBody: { required: true, content: content(spec.body) } }),
    responses: {
      [spec.status]: answer,
      ...(isTriable ? { 200: tried(spec, answer, components) } : {}),
      ...(spec.method === "GET" && spec.response !== undefined ? { 304: { description: "It is unchanged." } } : {}),
      default: {
        description: "The request is declined (RFC 9457).",
        content: { [problemMediaType]: { schema: referred(Problem, components) } },
      },
    },
  };
}

/** Whether there is something to be read under the path of a change. */
function isRead(path: string): boolean {
  const all: RouteSpec[] = Object.values(routes);
  return (
    path.includes("{") && all.some((spec) => spec.method === "GET" && spec.path === path && spec.response !== undefined)
  );
}

/** RFC 9110 section 13.1. */
const header = (name: string, description: string): Json => ({
  ...{ name, in: "header", required: false, description, schema: { type: "string", maxLength: 1000 } },
});
const ifMatch = header("If-Match", "The ETag of what was read; where it has changed since, nothing is done (412).");
const ifNoneMatch = header(
  "If-None-Match",
  "The ETag of what is known already; where it is unchanged, the answer is 304.",
);

const dryRun = header(
  "Dry-Run",
  "With ?1 (RFC 8941 section 3.3.6) the answer says what would be done, and nothing is.",
);

/** The answer of status 200, which a dry run has as well. */
function tried(spec: RouteSpec, answer: Json, components: Map<string, unknown>): Json {
  const content = { [dryRunMediaType]: { schema: referred(DryRun, components) } };
  if (spec.status !== 200) return { description: "What it would do, with the header Dry-Run.", content };
  return { ...answer, content: { ...(answer.content as Json | undefined), ...content } };
}

/** draft-ietf-httpapi-idempotency-key-header-07. */
const idempotencyKey: Json = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "A request that is sent again under its key, within a day, is done once and answered as the first time.",
  schema: { type: "string", maxLength: 202 },
};

/** The roles that let in stand with each proof (section 4.8.30.1): one of them is enough. */
function security(spec: RouteSpec): Json[] {
  if (!isForPeople(spec)) return spec.caller === "nobody" ? [] : [{ agent: [] }];
  const roles = spec.roles === "any" ? [] : [...spec.roles];
  return spec.interactive === true ? [{ session: roles }] : [{ session: roles }, { token: roles }];
}

function fields(spec: RouteSpec, part: "params" | "query", place: string, components: Map<string, unknown>): Json[] {
  const object = spec[part];
  if (object === undefined) return [];
  const required = new Set<string>(object.required ?? []);
  return Object.entries(object.properties).map(([name, schema]) => ({
    name,
    in: place,
    required: required.has(name),
    schema: referred(schema, components),
  }));
}

/** The schema as JSON, with a reference in the place of each named one. */
function referred(schema: unknown, components: Map<string, unknown>): unknown {
  if (Array.isArray(schema)) return schema.map((element) => referred(element, components));
  if (typeof schema !== "object" || schema === null) return schema;
  const { $id, ...rest } = schema as Json;
  const plain = () =>
    Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, referred(value, components)]));
  if (typeof $id !== "string") return plain();
  if (!components.has($id)) {
    // The name is taken first: a schema that reached itself would otherwise never end.
    components.set($id, {});
    components.set($id, plain());
  }
  return { $ref: `#/components/schemas/${$id}` };
}

/** What has happened. */
import { Type } from "typebox";
import { PageQuery, record } from "../schemas/basics.ts";
import { Event } from "../schemas/events.ts";
import { fleetReaders, route, Sequence } from "./route-spec.ts";

export const eventRoutes = {
  listEvents: route({
    method: "GET",
    path: "/v1/events",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    scoped: true,
    summary: "events, oldest first: the first ones behind a sequence number, or the last ones `before` one",
    query: record({
      after: Type.Optional(Sequence),
      before: Type.Optional(Sequence),
      limit: PageQuery.limit,
    }),
    status: 200,
    response: record({ items: Type.Array(Event) }),
  }),
  metrics: route({
    method: "GET",
    path: "/metrics",
    caller: "person",
    roles: fleetReaders,
    summary: "figures of the server and the fleet in the text format of Prometheus",
    status: 200,
    mediaType: "text/plain",
  }),
  streamEvents: route({
    method: "GET",
    path: "/v1/events/stream",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    scoped: true,
    summary: "events as they happen, as server-sent events whose id is the sequence number",
    query: record({ after: Type.Optional(Sequence) }),
    status: 200,
    mediaType: "text/event-stream",
  }),
};

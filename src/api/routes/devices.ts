/** Devices, as administrators see them. */
import { Type } from "typebox";
import { pageOf, record, Uuid } from "../schemas/basics.ts";
import { Device, DeviceFacts, DeviceSearch, GroupReason, KnownFact, TagChange } from "../schemas/devices.ts";
import { fleetReaders, route } from "./route-spec.ts";

const deviceParams = record({ deviceId: Uuid });

export const deviceRoutes = {
  listDevices: route({
    method: "GET",
    path: "/v1/devices",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary:
      "devices by id or as sorted; a search with a filter or a text may answer fewer than asked, with a cursor that goes on",
    query: DeviceSearch,
    status: 200,
    response: pageOf(Device),
  }),
  getDevice: route({
    method: "GET",
    path: "/v1/devices/{deviceId}",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary: "one device",
    params: deviceParams,
    status: 200,
    response: Device,
  }),
  getFacts: route({
    method: "GET",
    path: "/v1/devices/{deviceId}/facts",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary: "what a device told of itself",
    params: deviceParams,
    status: 200,
    response: DeviceFacts,
  }),
  listGroupReasons: route({
    method: "GET",
    path: "/v1/devices/{deviceId}/groups",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary: "the groups that a device is in, why, and those that missing facts or exclusions keep it out of",
    params: deviceParams,
    status: 200,
    response: record({ items: Type.Array(GroupReason) }),
  }),
  tagDevice: route({
    method: "PATCH",
    path: "/v1/devices/{deviceId}/tags",
    caller: "person",
    roles: ["operator"],
    scoped: true,
    summary: "give a device tags, and take others from it",
    params: deviceParams,
    body: TagChange,
    status: 200,
    response: Device,
  }),
  listKnownFacts: route({
    method: "GET",
    path: "/v1/facts",
    caller: "person",
    roles: "any",
    summary: "the catalog of facts: what devices may tell, and expressions may ask for",
    status: 200,
    response: record({ items: Type.Array(KnownFact) }),
  }),
  revokeDevice: route({
    method: "POST",
    path: "/v1/devices/{deviceId}/revocation",
    caller: "person",
    roles: ["operator"],
    scoped: true,
    summary: "cut a device off for good",
    params: deviceParams,
    status: 200,
    response: Device,
  }),
};

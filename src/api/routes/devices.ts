/** Devices, as administrators see them. */
import { Type } from "typebox";
import { PageQuery, pageOf, record, Uuid } from "../schemas/basics.ts";
import { Device, DeviceFacts, KnownFact } from "../schemas/devices.ts";
import { route } from "./route-spec.ts";

const deviceParams = record({ deviceId: Uuid });
const pageQuery = record(PageQuery);

export const deviceRoutes = {
  listDevices: route({
    method: "GET",
    path: "/v1/devices",
    caller: "administrator",
    summary: "devices by id",
    query: pageQuery,
    status: 200,
    response: pageOf(Device),
  }),
  getDevice: route({
    method: "GET",
    path: "/v1/devices/{deviceId}",
    caller: "administrator",
    summary: "one device",
    params: deviceParams,
    status: 200,
    response: Device,
  }),
  getFacts: route({
    method: "GET",
    path: "/v1/devices/{deviceId}/facts",
    caller: "administrator",
    summary: "what a device told of itself",
    params: deviceParams,
    status: 200,
    response: DeviceFacts,
  }),
  listKnownFacts: route({
    method: "GET",
    path: "/v1/facts",
    caller: "administrator",
    summary: "the catalog of facts: what devices may tell, and expressions may ask for",
    status: 200,
    response: record({ items: Type.Array(KnownFact) }),
  }),
  revokeDevice: route({
    method: "POST",
    path: "/v1/devices/{deviceId}/revocation",
    caller: "administrator",
    summary: "cut a device off for good",
    params: deviceParams,
    status: 200,
    response: Device,
  }),
};

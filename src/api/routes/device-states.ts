/** In which state devices are, and why. */
import { Type } from "typebox";
import { GroupId, pageOf, record, Uuid } from "../schemas/basics.ts";
import { DeviceState, DeviceStateSearch, ExplainedState, Product, StateCounts } from "../schemas/device-states.ts";
import { fleetReaders, route } from "./route-spec.ts";

export const deviceStateRoutes = {
  listDeviceStates: route({
    method: "GET",
    path: "/v1/device-states",
    caller: "person",
    roles: fleetReaders,
    summary:
      "devices with their state for a product, by device and product; who is not targeted only where that is asked for",
    query: DeviceStateSearch,
    status: 200,
    response: pageOf(DeviceState),
  }),
  countDeviceStates: route({
    method: "GET",
    path: "/v1/device-state-counts",
    caller: "person",
    roles: fleetReaders,
    summary: "how many devices are in which state, for each product",
    query: record({ product: Type.Optional(Product), group: Type.Optional(GroupId) }),
    status: 200,
    response: record({ items: Type.Array(StateCounts) }),
  }),
  explainDevice: route({
    method: "GET",
    path: "/v1/devices/{deviceId}/states",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary: "the states of one device, with all that keeps hotpatches off it and what would change that",
    params: record({ deviceId: Uuid }),
    status: 200,
    response: record({ items: Type.Array(ExplainedState) }),
  }),
};

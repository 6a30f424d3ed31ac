/** Groups of devices. */
import { GroupId, PageQuery, pageOf, record, Uuid } from "../schemas/basics.ts";
import { Device } from "../schemas/devices.ts";
import { Group, NewGroup } from "../schemas/groups.ts";
import { route } from "./route-spec.ts";

const groupParams = record({ groupId: GroupId });
const memberParams = record({ groupId: GroupId, deviceId: Uuid });
const pageQuery = record(PageQuery);

export const groupRoutes = {
  listGroups: route({
    method: "GET",
    path: "/v1/groups",
    caller: "administrator",
    summary: "groups by id",
    query: pageQuery,
    status: 200,
    response: pageOf(Group),
  }),
  makeGroup: route({
    method: "POST",
    path: "/v1/groups",
    caller: "administrator",
    summary: "make a group",
    body: NewGroup,
    status: 201,
    response: Group,
  }),
  removeGroup: route({
    method: "DELETE",
    path: "/v1/groups/{groupId}",
    caller: "administrator",
    summary: "remove a group with its approvals; what has not begun is withdrawn",
    params: groupParams,
    status: 204,
  }),
  listMembers: route({
    method: "GET",
    path: "/v1/groups/{groupId}/devices",
    caller: "administrator",
    summary: "the devices of a group",
    params: groupParams,
    query: pageQuery,
    status: 200,
    response: pageOf(Device),
  }),
  addMember: route({
    method: "PUT",
    path: "/v1/groups/{groupId}/devices/{deviceId}",
    caller: "administrator",
    summary: "put a device into a group",
    params: memberParams,
    status: 204,
  }),
  removeMember: route({
    method: "DELETE",
    path: "/v1/groups/{groupId}/devices/{deviceId}",
    caller: "administrator",
    summary: "take a device out of a group; what has not begun is withdrawn",
    params: memberParams,
    status: 204,
  }),
};

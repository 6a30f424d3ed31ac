/** Groups of devices. */
import { GroupId, PageQuery, pageOf, record, Uuid } from "../schemas/basics.ts";
import { Device } from "../schemas/devices.ts";
import { Group, GroupChange, NewGroup, Preview, PreviewRequest } from "../schemas/groups.ts";
import { route } from "./route-spec.ts";

const groupParams = record({ groupId: GroupId });
const exclusionParams = record({ groupId: GroupId, excludedId: GroupId });
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
  getGroup: route({
    method: "GET",
    path: "/v1/groups/{groupId}",
    caller: "administrator",
    summary: "one group",
    params: groupParams,
    status: 200,
    response: Group,
  }),
  changeGroup: route({
    method: "PATCH",
    path: "/v1/groups/{groupId}",
    caller: "administrator",
    summary: "change a group; who joins is offered what is approved, what has not begun of who leaves is withdrawn",
    params: groupParams,
    body: GroupChange,
    status: 200,
    response: Group,
  }),
  previewFilter: route({
    method: "POST",
    path: "/v1/group-previews",
    caller: "administrator",
    summary: "how many devices a filter matches, and which facts others lack; nothing is changed",
    body: PreviewRequest,
    status: 200,
    response: Preview,
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
  excludeGroup: route({
    method: "PUT",
    path: "/v1/groups/{groupId}/exclusions/{excludedId}",
    caller: "administrator",
    summary: "leave the devices of another group out of a group",
    params: exclusionParams,
    status: 204,
  }),
  includeGroup: route({
    method: "DELETE",
    path: "/v1/groups/{groupId}/exclusions/{excludedId}",
    caller: "administrator",
    summary: "leave them out no longer",
    params: exclusionParams,
    status: 204,
  }),
  exceptDevice: route({
    method: "PUT",
    path: "/v1/groups/{groupId}/exceptions/{deviceId}",
    caller: "administrator",
    summary: "leave a device out of a group, whatever else would have it in",
    params: memberParams,
    status: 204,
  }),
  unexceptDevice: route({
    method: "DELETE",
    path: "/v1/groups/{groupId}/exceptions/{deviceId}",
    caller: "administrator",
    summary: "leave it out no longer",
    params: memberParams,
    status: 204,
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

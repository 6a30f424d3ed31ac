/** What each route does: the request's checked parts and who asks go in, the answer's value comes out. No HTTP here. */
import { factRows } from "../../api/fact-catalog.ts";
import { openApiDocument } from "../../api/openapi.ts";
import * as actions from "../actions/actions.ts";
import { takeReport, takeReports } from "../actions/reports.ts";
import { trustFor } from "../catalog/catalog.ts";
import { instant } from "../context.ts";
import * as deviceStates from "../device-states/device-states.ts";
import * as devices from "../devices/devices.ts";
import { searchDevices } from "../devices/search.ts";
import { previewEligibility } from "../eligibility/preview.ts";
import * as rules from "../eligibility/rules.ts";
import * as enrolment from "../enrolment/enrolment.ts";
import { listEvents } from "../events/events.ts";
import * as groups from "../groups/groups.ts";
import { previewFilter } from "../groups/preview.ts";
import { groupReasons } from "../groups/reasons.ts";
import * as holds from "../holds/holds.ts";
import * as issues from "../holds/issues.ts";
import { anyPassword } from "../sign-in/passwords.ts";
import { signOut } from "../sign-in/sessions.ts";
import { makeSignInLink } from "../sign-in/sign-in.ts";
import { withFourEyes } from "./four-eyes.ts";
import { deviceIdOf, type Handlers, nameOf, personOf } from "./handler.ts";
import { accessHandlers } from "./handlers/access.ts";
import { approvalHandlers } from "./handlers/approvals.ts";
import { catalogHandlers } from "./handlers/catalog.ts";
import { fourEyesHandlers } from "./handlers/four-eyes.ts";
import { policyHandlers } from "./handlers/policies.ts";
import { rolloutHandlers } from "./handlers/rollouts.ts";
import { webhookHandlers } from "./handlers/webhooks.ts";
import { withIdempotency } from "./idempotency.ts";
import { withPreconditions } from "./preconditions.ts";

const plain: Handlers = {
  ...fourEyesHandlers(() => plain),
  ...accessHandlers,
  ...approvalHandlers,
  ...catalogHandlers,
  ...policyHandlers,
  ...rolloutHandlers,
  ...webhookHandlers,
  openapi: async ({ version }) => openApiDocument(version),
  authority: async ({ authority }) => ({
    certificate: authority.certificate,
    sha256: authority.sha256.toString("base64url"),
  }),
  signInMethods: async (context) => ({ oidc: context.oidc !== undefined, password: await anyPassword(context) }),
  enrol: (context, { body }) => enrolment.enrol(context, body),

  renewCertificate: (context, { body }, caller) =>
    enrolment.renewCertificate(context, deviceIdOf(caller), body.certificateRequest),
  changeFacts: (context, { body }, caller) => devices.changeFacts(context, deviceIdOf(caller), body),
  poll: (context, { query }, caller) =>
    actions.poll(context, deviceIdOf(caller), { after: query.after, waitMs: query.waitMs ?? 0, gone: caller.gone }),
  report: (context, { body }, caller) => takeReport(context, deviceIdOf(caller), body),
  reportAll: (context, { body }, caller) => takeReports(context, deviceIdOf(caller), body.reports),
  leave: (context, _asked, caller) => devices.revokeDevice(context, deviceIdOf(caller)),
  trust: ({ catalog, trustFolder }) => trustFor(catalog, trustFolder),

  session: async (_context, _asked, caller) => {
    const { id, name, via, grants, expiresAt } = personOf(caller);
    return {
      ...{ name, via, grants: [...grants] },
      ...(id === undefined ? {} : { personId: id }),
      ...(expiresAt === undefined ? {} : { expiresAt: instant(expiresAt) }),
    };
  },
  signOut: async (context, _asked, caller) => {
    await signOut(context, personOf(caller));
    return undefined;
  },
  makeSignInLink: (context, _asked, caller) => makeSignInLink(context, personOf(caller)),
  makeToken: (context, { body }) => enrolment.makeToken(context, body),

  listDevices: async ({ database, reach }, { query }) => {
    if (query.group !== undefined) await groups.requireGroup(database, query.group);
    return await searchDevices(database, query, reach);
  },
  getDevice: ({ database }, { params }) => devices.getDevice(database, params.deviceId),
  getFacts: ({ database }, { params }) => devices.getFacts(database, params.deviceId),
  listGroupReasons: async ({ database, reach }, { params }) => ({
    items: await groupReasons(database, params.deviceId, reach),
  }),
  tagDevice: (context, { params, body }) => devices.tagDevice(context, params.deviceId, body),
  listKnownFacts: async () => ({ items: [...factRows] }),
  revokeDevice: (context, { params }) => devices.revokeDevice(context, params.deviceId),

  listDeviceStates: async ({ database }, { query }) => {
    if (query.group !== undefined) await groups.requireGroup(database, query.group);
    return await deviceStates.listDeviceStates(database, query);
  },
  countDeviceStates: async ({ database }, { query }) => {
    if (query.group !== undefined) await groups.requireGroup(database, query.group);
    return { items: await deviceStates.countDeviceStates(database, query) };
  },
  explainDevice: async ({ database }, { params }) => ({
    items: await deviceStates.explainDevice(database, params.deviceId),
  }),

  listEligibilityRules: async ({ database }) => ({ items: await rules.listRules(database) }),
  changeEligibilityRule: (context, { params, body }, caller) =>
    rules.changeRule(context, params.ruleId, { wanted: body, by: nameOf(caller) }),
  resetEligibilityRule: async (context, { params, body }, caller) => {
    await rules.resetRule(context, params.ruleId, { why: body.why, by: nameOf(caller) });
    return undefined;
  },
  eligibilityHistory: async ({ database }, { params }) => ({ items: await rules.ruleHistory(database, params.ruleId) }),
  previewEligibility: ({ database }, { body }) => previewEligibility(database, body),

  listIssues: ({ database }, { query }) => issues.listIssues(database, query),
  makeIssue: (context, { body }, caller) => issues.makeIssue(context, body, nameOf(caller)),
  getIssue: ({ database }, { params }) => issues.getIssue(database, params.issueId),
  changeIssue: (context, { params, body }, caller) =>
    issues.changeIssue(context, params.issueId, { wanted: body, by: nameOf(caller) }),
  listHolds: ({ database }, { query }) => holds.listHolds(database, query),
  makeHold: (context, { body }, caller) => holds.makeHold(context, body, nameOf(caller)),
  getHold: ({ database }, { params }) => holds.getHold(database, params.holdId),
  releaseHold: (context, { params, body }, caller) =>
    holds.releaseHold(context, params.holdId, { reason: body.reason, by: nameOf(caller) }),

  listGroups: ({ database, reach }, { query }) => groups.listGroups(database, query, reach),
  makeGroup: (context, { body }) => groups.makeGroup(context, body),
  removeGroup: async (context, { params }) => {
    await groups.removeGroup(context, params.groupId);
    return undefined;
  },
  listMembers: async ({ database, reach }, { params, query }) => {
    await groups.requireGroup(database, params.groupId);
    return await searchDevices(database, { ...query, group: params.groupId }, reach);
  },
  getGroup: ({ database }, { params }) => groups.requireGroup(database, params.groupId),
  changeGroup: (context, { params, body }) => groups.changeGroup(context, params.groupId, body),
  previewFilter: ({ database, reach }, { body }) => previewFilter(database, body, reach),
  excludeGroup: async (context, { params }) => {
    await groups.excludeGroup(context, params.groupId, params.excludedId);
    return undefined;
  },
  includeGroup: async (context, { params }) => {
    await groups.includeGroup(context, params.groupId, params.excludedId);
    return undefined;
  },
  exceptDevice: async (context, { params }) => {
    await groups.exceptDevice(context, params);
    return undefined;
  },
  unexceptDevice: async (context, { params }) => {
    await groups.unexceptDevice(context, params);
    return undefined;
  },
  addMember: async (context, { params }) => {
    await groups.addMember(context, params);
    return undefined;
  },
  removeMember: async (context, { params }) => {
    await groups.removeMember(context, params);
    return undefined;
  },

  listActions: ({ database, reach }, { query }) => actions.listActions(database, query, reach),
  getAction: ({ database, reach }, { params }) => actions.getAction(database, params.actionId, reach),
  requestAction: (context, { params, body }) => actions.requestAction(context, params.actionId, body.event),

  listEvents: async ({ database, reach }, { query }) => ({ items: await listEvents(database, query, reach) }),
};

/** What the routes call: a change that needs a second person becomes a request (docs/approvals.md). */
/** Keys inside: a change that turns out to need a second person leaves none. */
export const handlers: Handlers = withFourEyes(withIdempotency(withPreconditions(plain)));

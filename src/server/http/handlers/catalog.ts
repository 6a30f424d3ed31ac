/** What the routes of the catalog, the calendar and advisories do. */
import type { catalogRoutes } from "../../../api/routes/catalog.ts";
import { importAdvisories, listAdvisories } from "../../advisories/advisories.ts";
import { getCalendar, getDeviceServicing } from "../../calendar/device-servicing.ts";
import { getHotpatch, listBaselines, listHotpatches, listWithdrawals } from "../../catalog/search.ts";
import { clearServicing, listServicing, setServicing } from "../../catalog/servicing-choices.ts";
import { type Handlers, nameOf } from "../handler.ts";

export const catalogHandlers: Pick<Handlers, keyof typeof catalogRoutes> = {
  listHotpatches: ({ catalog }, { query }) => listHotpatches(catalog, query),
  getHotpatch: (context, { params }) => getHotpatch(context, params.hotpatchId),
  listBaselines: ({ catalog }, { query }) => listBaselines(catalog, query),
  listWithdrawals: ({ catalog }) => listWithdrawals(catalog),
  getCalendar: (context, { query }) => getCalendar(context, query),
  getDeviceServicing: ({ database }, { params }) => getDeviceServicing(database, params.deviceId),
  listServicing: ({ database }) => listServicing(database),
  setServicing: (context, { params, body }, caller) =>
    setServicing(context, params.groupId, { ...body, by: nameOf(caller) }),
  clearServicing: async (context, { params }, caller) => {
    await clearServicing(context, params.groupId, nameOf(caller));
    return undefined;
  },
  importAdvisories: (context, { body }, caller) => importAdvisories(context, body, nameOf(caller)),
  listAdvisories: ({ database }, { query }) => listAdvisories(database, query),
};

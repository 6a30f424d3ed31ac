/** People, their roles, their sessions and their API tokens. */
import * as tokens from "../../access/api-tokens.ts";
import * as people from "../../access/manage-people.ts";
import { requirePerson } from "../../access/people.ts";
import { change } from "../../context.ts";
import { changeOwnPassword, removePassword, setPassword } from "../../sign-in/passwords.ts";
import * as sessions from "../../sign-in/sessions.ts";
import { makeSignInLink } from "../../sign-in/sign-in.ts";
import { type Caller, type Handlers, personOf } from "../handler.ts";

type Names = keyof typeof import("../../../api/routes/access.ts").accessRoutes;

/** Of whoever asks; on the local socket that is no person, and there is nothing of his. */
function ownId(caller: Caller): string {
  return personOf(caller).id ?? "";
}

export const accessHandlers: Pick<Handlers, Names> = {
  listPeople: ({ database }, { query }) => people.listPeople(database, query),
  addPerson: (context, { body }) => people.addPerson(context, body),
  getPerson: ({ database }, { params }) => people.getPerson(database, params.personId),
  changePerson: (context, { params, body }) => people.changePerson(context, params.personId, body),
  removePerson: async (context, { params }) => {
    await people.removePerson(context, params.personId);
    return undefined;
  },
  setPassword: async (context, { params, body }, caller) => {
    const { session, id } = personOf(caller);
    const except = session !== undefined && id === params.personId ? { except: session } : {};
    await setPassword(context, { personId: params.personId, password: body.password, ...except });
    return undefined;
  },
  changeOwnPassword: async (context, { body }, caller) => {
    const { session } = personOf(caller);
    const except = session === undefined ? {} : { except: session };
    await changeOwnPassword(context, { personId: ownId(caller), ...body, ...except });
    return undefined;
  },
  removePassword: async (context, { params }) => {
    await removePassword(context, params.personId);
    return undefined;
  },
  giveRole: async (context, { params: { personId, ...grant } }, caller) => {
    const session = await people.giveRole(context, { personId, grant, actor: personOf(caller) });
    if (session !== undefined) caller.renewed(session);
    return undefined;
  },
  takeRole: async (context, { params: { personId, ...grant } }, caller) => {
    const session = await people.takeRole(context, { personId, grant, actor: personOf(caller) });
    if (session !== undefined) caller.renewed(session);
    return undefined;
  },
  linkPerson: (context, { params }) => makeSignInLink(context, { id: params.personId }),

  listPersonSessions: async (context, { params }, caller) => {
    await requirePerson(context.database, params.personId);
    return { items: await sessions.listSessions(context, params.personId, personOf(caller).session) };
  },
  endPersonSession: async (context, { params }) => {
    await sessions.endSession(context, params.personId, params.sessionId);
    return undefined;
  },
  listOwnSessions: async (context, _asked, caller) => ({
    items: await sessions.listSessions(context, ownId(caller), personOf(caller).session),
  }),
  endOtherSessions: async (context, _asked, caller) => {
    await change(context, (under) => sessions.endSessions(under, ownId(caller), personOf(caller).session));
    return undefined;
  },
  endOwnSession: async (context, { params }, caller) => {
    await sessions.endSession(context, ownId(caller), params.sessionId);
    return undefined;
  },

  listApiTokens: async (context, _asked, caller) => ({ items: await tokens.listTokens(context, ownId(caller)) }),
  makeApiToken: (context, { body }, caller) => tokens.makeApiToken(context, personOf(caller), body),
  revokeApiToken: async (context, { params }, caller) => {
    await tokens.revokeToken(context, ownId(caller), params.tokenId);
    return undefined;
  },
  listPersonTokens: async (context, { params }) => {
    await requirePerson(context.database, params.personId);
    return { items: await tokens.listTokens(context, params.personId) };
  },
  revokePersonToken: async (context, { params }) => {
    await tokens.revokeToken(context, params.personId, params.tokenId);
    return undefined;
  },
};

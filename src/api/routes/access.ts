/** People, their roles, their sessions and their API tokens. */
import { Type } from "typebox";
import {
  ApiToken,
  Grant,
  MadeToken,
  NewApiToken,
  NewPassword,
  NewPerson,
  OwnPassword,
  Person,
  PersonChange,
  PersonSearch,
  PersonSession,
} from "../schemas/access.ts";
import { pageOf, record, Uuid } from "../schemas/basics.ts";
import { SignInLink } from "../schemas/enrolment.ts";
import { type PeopleRoute, route } from "./route-spec.ts";

const personParams = record({ personId: Uuid });
const grantParams = record({ personId: Uuid, ...Grant.properties });
const sessionList = record({ items: Type.Array(PersonSession) });
/** Who manages people manages all of them: a role in some groups alone gives no say over who else has which. */
const managing = { caller: "person", roles: ["administrator"] } as const satisfies Partial<PeopleRoute>;
const own = { caller: "person", roles: "any" } as const satisfies Partial<PeopleRoute>;

const peopleRoutes = {
  listPeople: route({
    ...managing,
    method: "GET",
    path: "/v1/people",
    summary: "people by id, with their roles",
    query: PersonSearch,
    status: 200,
    response: pageOf(Person),
  }),
  addPerson: route({
    ...managing,
    interactive: true,
    method: "POST",
    path: "/v1/people",
    summary: "add a person; a sign-in link lets him in",
    body: NewPerson,
    status: 201,
    response: Person,
  }),
  getPerson: route({
    ...managing,
    method: "GET",
    path: "/v1/people/{personId}",
    summary: "one person",
    params: personParams,
    status: 200,
    response: Person,
  }),
  changePerson: route({
    ...managing,
    interactive: true,
    method: "PATCH",
    path: "/v1/people/{personId}",
    summary: "change a person's title, disable or enable him; disabled, his sessions end at once",
    params: personParams,
    body: PersonChange,
    status: 200,
    response: Person,
  }),
  removePerson: route({
    ...managing,
    interactive: true,
    method: "DELETE",
    path: "/v1/people/{personId}",
    summary: "remove a person with all that lets him in; the record keeps what he did",
    params: personParams,
    status: 204,
  }),
  setPassword: route({
    ...managing,
    interactive: true,
    method: "PUT",
    path: "/v1/people/{personId}/password",
    summary: "give a person a password; his other sessions end",
    params: personParams,
    body: NewPassword,
    status: 204,
  }),
  removePassword: route({
    ...managing,
    interactive: true,
    method: "DELETE",
    path: "/v1/people/{personId}/password",
    summary: "take a person's password; his sessions end",
    params: personParams,
    status: 204,
  }),
  giveRole: route({
    ...managing,
    interactive: true,
    method: "PUT",
    path: "/v1/people/{personId}/grants/{role}/{groupId}",
    summary: "give a role in a group; his sessions end, and one's own gets a new secret",
    params: grantParams,
    status: 204,
  }),
  takeRole: route({
    ...managing,
    interactive: true,
    method: "DELETE",
    path: "/v1/people/{personId}/grants/{role}/{groupId}",
    summary: "take a role in a group away, at once",
    params: grantParams,
    status: 204,
  }),
  linkPerson: route({
    ...managing,
    interactive: true,
    method: "POST",
    path: "/v1/people/{personId}/sign-in-links",
    summary: "a link that signs this person in, once",
    params: personParams,
    status: 201,
    response: SignInLink,
  }),
};

const sessionParams = record({ personId: Uuid, sessionId: Uuid });

const sessionRoutes = {
  listPersonSessions: route({
    ...managing,
    method: "GET",
    path: "/v1/people/{personId}/sessions",
    summary: "the sessions of a person, newest first",
    params: personParams,
    status: 200,
    response: sessionList,
  }),
  endPersonSession: route({
    ...managing,
    interactive: true,
    method: "DELETE",
    path: "/v1/people/{personId}/sessions/{sessionId}",
    summary: "end a session of a person",
    params: sessionParams,
    status: 204,
  }),
  changeOwnPassword: route({
    ...own,
    interactive: true,
    method: "PUT",
    path: "/v1/password",
    summary: "change one's own password, which takes the one before; one's other sessions end",
    body: OwnPassword,
    limited: true,
    status: 204,
  }),
  listOwnSessions: route({
    ...own,
    method: "GET",
    path: "/v1/sessions",
    summary: "one's own sessions, newest first",
    status: 200,
    response: sessionList,
  }),
  endOtherSessions: route({
    ...own,
    interactive: true,
    method: "DELETE",
    path: "/v1/sessions",
    summary: "end one's own sessions, but for the one that asks",
    status: 204,
  }),
  endOwnSession: route({
    ...own,
    interactive: true,
    method: "DELETE",
    path: "/v1/sessions/{sessionId}",
    summary: "end one of one's own sessions",
    params: record({ sessionId: Uuid }),
    status: 204,
  }),
};

const tokenList = record({ items: Type.Array(ApiToken) });

const tokenRoutes = {
  listApiTokens: route({
    ...own,
    method: "GET",
    path: "/v1/api-tokens",
    summary: "one's own API tokens, with their last use",
    status: 200,
    response: tokenList,
  }),
  makeApiToken: route({
    ...own,
    interactive: true,
    method: "POST",
    path: "/v1/api-tokens",
    summary: "an API token with some of one's own roles; shown this once",
    body: NewApiToken,
    status: 201,
    response: MadeToken,
  }),
  revokeApiToken: route({
    ...own,
    interactive: true,
    method: "DELETE",
    path: "/v1/api-tokens/{tokenId}",
    summary: "end one of one's own API tokens",
    params: record({ tokenId: Uuid }),
    status: 204,
  }),
  listPersonTokens: route({
    ...managing,
    method: "GET",
    path: "/v1/people/{personId}/api-tokens",
    summary: "the API tokens of a person",
    params: personParams,
    status: 200,
    response: tokenList,
  }),
  revokePersonToken: route({
    ...managing,
    interactive: true,
    method: "DELETE",
    path: "/v1/people/{personId}/api-tokens/{tokenId}",
    summary: "end an API token of a person",
    params: record({ personId: Uuid, tokenId: Uuid }),
    status: 204,
  }),
};

export const accessRoutes = { ...peopleRoutes, ...sessionRoutes, ...tokenRoutes };

/** What anybody may ask. */
import { Type } from "typebox";
import { PasswordSignIn } from "../schemas/access.ts";
import { record } from "../schemas/basics.ts";
import { Authority, Enrolment, EnrolmentRequest } from "../schemas/enrolment.ts";
import { route } from "./route-spec.ts";

export const openRoutes = {
  openapi: route({
    method: "GET",
    path: "/v1/openapi.json",
    caller: "nobody",
    summary: "this interface as an OpenAPI 3.1 document",
    status: 200,
    response: Type.Record(Type.String(), Type.Unknown()),
  }),
  authority: route({
    method: "GET",
    path: "/v1/authority",
    caller: "nobody",
    summary: "the certificate of the server's authority; an enrolment token carries its SHA-256",
    status: 200,
    response: Authority,
  }),
  enrol: route({
    method: "POST",
    path: "/v1/enrol",
    caller: "nobody",
    summary: "make this machine a device, with a token that works once",
    body: EnrolmentRequest,
    status: 201,
    response: Enrolment,
    limited: true,
  }),
  signIn: route({
    method: "GET",
    path: "/v1/sign-in",
    caller: "nobody",
    summary: "exchange a sign-in link, which works once, for a session",
    query: record({ token: Type.String({ minLength: 1, maxLength: 256 }) }),
    status: 303,
    limited: true,
  }),
  signInMethods: route({
    method: "GET",
    path: "/v1/sign-in/methods",
    caller: "nobody",
    summary: "the ways in which people sign in here, besides links",
    status: 200,
    response: record({ oidc: Type.Boolean(), password: Type.Boolean() }),
  }),
  signInByPassword: route({
    method: "POST",
    path: "/v1/sign-in/password",
    caller: "nobody",
    summary: "exchange a name and a password for a session",
    body: PasswordSignIn,
    status: 204,
    limited: true,
  }),
  beginOidc: route({
    method: "GET",
    path: "/v1/sign-in/oidc",
    caller: "nobody",
    summary: "sends the browser to the provider of OpenID Connect",
    status: 303,
    limited: true,
  }),
  endOidc: route({
    method: "GET",
    path: "/v1/sign-in/oidc/callback",
    caller: "nobody",
    summary: "where the provider sends the browser back to, for a session",
    // Providers add parameters of their own, which do not count.
    query: Type.Object({}, { additionalProperties: Type.String({ maxLength: 8192 }) }),
    status: 303,
    limited: true,
  }),
};

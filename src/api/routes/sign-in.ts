/** Sign-in, and tokens for machines. */
import { EnrolmentToken, Session, SignInLink, TokenRequest } from "../schemas/enrolment.ts";
import { route } from "./route-spec.ts";

export const signInRoutes = {
  session: route({
    method: "GET",
    path: "/v1/session",
    caller: "person",
    roles: "any",
    summary: "who is signed in, and until when",
    status: 200,
    response: Session,
  }),
  signOut: route({
    method: "DELETE",
    path: "/v1/session",
    caller: "person",
    roles: "any",
    interactive: true,
    summary: "end this session",
    status: 204,
  }),
  makeSignInLink: route({
    method: "POST",
    path: "/v1/sign-in-links",
    caller: "person",
    roles: "any",
    interactive: true,
    summary: "a link that signs an administrator in, once",
    status: 201,
    response: SignInLink,
  }),
  makeToken: route({
    method: "POST",
    path: "/v1/enrolment-tokens",
    caller: "person",
    roles: ["operator"],
    scoped: true,
    summary: "a token that enrols one machine",
    body: TokenRequest,
    status: 201,
    response: EnrolmentToken,
  }),
};

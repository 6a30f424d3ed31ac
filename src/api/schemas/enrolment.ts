/** Enrolment of machines, and sign-in of people. */
import { type Static, Type } from "typebox";
import { apiLimits } from "../api-limits.ts";
import { Grant } from "./access.ts";
import { GroupId, Instant, Nullable, Pem, record, Title, Uuid, words } from "./basics.ts";

export const TokenRequest = record(
  {
    minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: apiLimits.tokenMinutes })),
    /** The group that the device joins, besides `all`. */
    groupId: Type.Optional(GroupId),
  },
  { $id: "TokenRequest" },
);
/** `token` is shown this once; the server keeps its digest. It carries the SHA-256 of the authority's certificate as well, by which an agent knows the server. */
export const EnrolmentToken = record({ token: Type.String(), expiresAt: Instant }, { $id: "EnrolmentToken" });

export const EnrolmentRequest = record(
  { token: Type.String({ minLength: 1, maxLength: 256 }), name: Title, certificateRequest: Pem },
  { $id: "EnrolmentRequest" },
);
export const RenewalRequest = record({ certificateRequest: Pem }, { $id: "RenewalRequest" });
export const Enrolment = record(
  { deviceId: Uuid, certificate: Type.String(), authority: Type.String(), expiresAt: Instant },
  { $id: "Enrolment" },
);
export type Enrolment = Static<typeof Enrolment>;
/** What an agent pins at its enrolment: the root of the catalog (TUF metadata), and public keys of authors of hotpatches (SPKI, PEM). */
export const Trust = record(
  { catalogRoot: Nullable(Type.String()), authorKeys: Type.Array(Type.String()) },
  { $id: "Trust" },
);
export type Trust = Static<typeof Trust>;
export const Authority = record({ certificate: Type.String(), sha256: Type.String() }, { $id: "Authority" });
/** `link` is shown this once, and works once. */
export const SignInLink = record({ link: Type.String(), expiresAt: Instant }, { $id: "SignInLink" });
/** Who is signed in. `personId` is absent on the local socket, and `expiresAt` as well. */
export const Session = record(
  {
    name: Type.String(),
    personId: Type.Optional(Uuid),
    via: words(["session", "token", "local"]),
    grants: Type.Array(Grant),
    expiresAt: Type.Optional(Instant),
  },
  { $id: "Session" },
);

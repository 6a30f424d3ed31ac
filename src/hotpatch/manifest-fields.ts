/** Fields that several sections of the manifest share, each bounded. */
import { Type } from "typebox";

export const closed = { additionalProperties: false } as const;
export const Sentence = Type.String({ maxLength: 2000 });
export const Sha256 = Type.String({ pattern: "^[0-9a-f]{64}$" });
export const PayloadName = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: "^[0-9A-Za-z][0-9A-Za-z._/@+-]*$",
});

/** People of a test, straight in the database, each with a session of his own. */
import { randomUUID } from "node:crypto";
import type { Grant } from "../../../src/api/schemas/access.ts";
import type { Person } from "../../../src/server/access/principal.ts";
import { makeSignInLink } from "../../../src/server/sign-in/sign-in.ts";
import type { Answer, Ask, TestServer } from "./running-server.ts";

/** A browser that is signed in as a new person with these roles. */
export async function signInAs(
  server: TestServer,
  name: string,
  grants: readonly Grant[],
): Promise<(address: string, ask?: Ask) => Promise<Answer>> {
  return await server.signIn(await linkAs(server, name, grants));
}

/** The cookie of a session of a new person with these roles. */
export async function cookieAs(server: TestServer, name: string, grants: readonly Grant[]): Promise<string> {
  const { headers } = await server.ask(await linkAs(server, name, grants));
  return String(headers["set-cookie"]).split(";")[0] ?? "";
}

async function linkAs(server: TestServer, name: string, grants: readonly Grant[]): Promise<string> {
  const { context } = server.running;
  const { database } = context;
  const id = randomUUID();
  const unique = `${name}-${id.slice(0, 8)}`;
  const row = { id, name: unique, title: name, state: "enabled", created_at: server.now } as const;
  await database
    .insertInto("people")
    .values({ ...row, password: null, issuer: null, subject: null })
    .execute();
  for (const { role, groupId } of grants) {
    await database.insertInto("grants").values({ person_id: id, role, group_id: groupId }).execute();
  }
  const person: Person = { kind: "person", via: "session", id, name: unique, grants };
  return (await makeSignInLink(context, person)).link;
}

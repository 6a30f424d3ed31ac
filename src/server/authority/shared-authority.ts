/**
 * That all servers of one database have one authority, so that a device which enrolled at one of them may come to any.
 *
 * The database holds the digest of the authority's certificate and nothing secret: who reads the database can make no device.
 */
import { RebootlessError } from "../../base/errors.ts";
import type { Store } from "../database/store.ts";
import type { Authority } from "./authority.ts";

/**
 * Takes the authority down as that of the database, where there is none yet, or where it is to be replaced.
 * Throws `server/wrong-authority` where the database has another one.
 */
export async function shareAuthority(
  store: Store,
  authority: Authority,
  { replace }: { replace: boolean },
): Promise<void> {
  const ours = authority.sha256.toString("base64url");
  await store.transaction("fleet", async (db) => {
    const row = await db.selectFrom("settings").select("value").where("name", "=", "authority").executeTakeFirst();
    if (row?.value === ours) return;
    // A file in the state folder has the authority beside it; whoever took that away has decided already.
    if (row !== undefined && store.kind === "postgres" && !replace) {
      throw new RebootlessError(
        "server/wrong-authority",
        "The servers of this database have another authority, whose devices would not be let in here; start with --authority and a copy of their authority's folder. If it is lost, --replace-authority makes this one theirs, and all devices have to be enrolled anew.",
      );
    }
    await db
      .insertInto("settings")
      .values({ name: "authority", value: ours })
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ value: ours }))
      .execute();
  });
}

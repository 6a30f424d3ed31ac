/** Several servers on one PostgreSQL with one authority, in this process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { catalogAddress } from "../../../src/repository/client/catalog-client.ts";
import type { RunOptions } from "../../../src/server/run-server.ts";
import { openShop } from "../../repository/support/shop.ts";
import { type Cluster, newDatabase } from "./postgres-cluster.ts";
import { TestServer } from "./running-server.ts";

export interface Servers {
  readonly address: string;
  readonly authorityFolder: string;
  readonly first: TestServer;
  readonly second: TestServer;
  readonly third: TestServer;
  /** One more on the database, with a state folder of its own; not started. */
  another(options?: Partial<RunOptions>): TestServer;
}

/** Three that run, with a catalog that lists the hotpatches `one` to `three`. */
export async function openServers(t: TestContext, cluster: Pick<Cluster, "address">): Promise<Servers> {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two", "three");
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const catalog = { address: catalogAddress(shop.repository.publicFolder, shop.folder), firstRoot };
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-servers-"));
  const [authorityFolder, database] = [path.join(folder, "authority"), await newDatabase(cluster)];
  const servers: TestServer[] = [];
  const another = (options: Partial<RunOptions> = {}) => {
    const server = new TestServer(path.join(folder, String(servers.length)), {
      ...{ database, authorityFolder, catalog },
      ...options,
    });
    servers.push(server);
    return server;
  };
  t.after(async () => {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const three = { first: another(), second: another(), third: another() };
  // At once, and so all three make the authority and the tables at one time.
  await Promise.all(servers.map((server) => server.start()));
  return { address: database, authorityFolder, another, ...three };
}

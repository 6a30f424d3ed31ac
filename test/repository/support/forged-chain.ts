/** Chains that are signed as they must be and say what no writer of the project would say. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { readState, roleKeys } from "../../../src/repository/writer/catalog-state.ts";
import { type Json, type RoleFile, signRole, timestampJson } from "../../../src/repository/writer/metadata.ts";
import { Keyring } from "../../../src/repository/writer/tuf-keys.ts";
import type { Shop } from "./shop.ts";

/** The next snapshot and timestamp, the snapshot without one of its files. */
export async function renewedWithout(shop: Shop, name: string): Promise<void> {
  const state = await readState(shop.repository);
  const online = await Keyring.open([shop.repository.onlineKeys], undefined);
  const { meta, ...rest } = state.snapshot.json as unknown as { meta: Record<string, Json> };
  const kept = Object.fromEntries(Object.entries(meta).filter(([file]) => file !== name));
  const next = { version: state.snapshot.version + 1, expires: state.snapshot.expires };
  const sign = async (role: "snapshot" | "timestamp", json: Json): Promise<RoleFile> =>
    signRole(role, json, await online.signers(roleKeys(state, role).keyids));
  const snapshot = await sign("snapshot", { ...rest, meta: kept, ...next });
  const timestamp = await sign("timestamp", timestampJson({ ...next, version: state.timestamp.version + 1 }, snapshot));
  const folder = shop.repository.metadataFolder;
  writeFileSync(path.join(folder, `${snapshot.version}.snapshot.json`), snapshot.bytes);
  writeFileSync(path.join(folder, "timestamp.json"), timestamp.bytes);
}

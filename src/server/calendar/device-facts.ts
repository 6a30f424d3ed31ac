/** The facts of devices that say where they stand among the baselines, for many devices at a time. */
import type { Database } from "../database/tables.ts";
import type { StandingFacts } from "./standing.ts";

const names = [
  ...["os.id", "os.version", "os.build", "cpu.architecture", "kernel.release", "restart.required", "packages"],
] as const;

/**
 * A package's version out of the JSON of the fact `packages`, as JSON.stringify wrote it.
 * The lists of a thousand devices are some hundred megabytes, of which a few entries are asked for, so they are looked for as text.
 * A quotation mark inside a text has a backslash before it, and one that ends a text is followed by one of `,:}`; what is found is therefore a name, unless the name itself begins so.
 */
export function versionIn(json: string, name: string): string | undefined {
  if (/^[,:}]/.test(name)) return new Map(Object.entries(JSON.parse(json) as Record<string, string>)).get(name);
  const key = `${JSON.stringify(name)}:"`;
  for (let at = json.indexOf(key); at >= 0; at = json.indexOf(key, at + 1)) {
    if (json[at - 1] !== "{" && json[at - 1] !== ",") continue;
    const from = at + key.length - 1;
    let end = from + 1;
    while (json[end] !== '"') end += json[end] === "\\" ? 2 : 1;
    return JSON.parse(json.slice(from, end + 1)) as string;
  }
  return undefined;
}

/** A device that tells nothing has an entry without facts. */
export async function standingFacts(db: Database, deviceIds: readonly string[]): Promise<Map<string, StandingFacts>> {
  const rows = await db
    .selectFrom("facts")
    .select(["device_id", "name", "value_json"])
    .where("device_id", "in", [...deviceIds])
    .where("name", "in", [...names])
    .execute();
  const told = new Map<string, Map<string, string>>();
  for (const { device_id, name, value_json } of rows) {
    const own = told.get(device_id) ?? new Map<string, string>();
    told.set(device_id, own.set(name, value_json));
  }
  return new Map(deviceIds.map((id) => [id, factsIn(told.get(id) ?? new Map())]));
}

function factsIn(told: ReadonlyMap<string, string>): StandingFacts {
  const text = (name: string): string | undefined => {
    const value: unknown = JSON.parse(told.get(name) ?? "null");
    return typeof value === "string" ? value : undefined;
  };
  const packages = told.get("packages");
  return {
    osId: text("os.id"),
    osVersion: text("os.version"),
    architecture: text("cpu.architecture"),
    kernel: text("kernel.release"),
    build: text("os.build"),
    restartRequired: told.get("restart.required") === "true",
    packageVersion: packages === undefined ? undefined : (name) => versionIn(packages, name),
  };
}

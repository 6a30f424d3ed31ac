/** The state of a large fleet, made by statements of the database itself, and every question that a person asks of it. */
import type { RouteName } from "../../src/api/routes.ts";
import { ask, type Given } from "../../src/cli/server-client.ts";
import { inDatabase } from "../../test/server/support/postgres-cluster.ts";

const products = 4;
const groups = 200;

/** A version 4 UUID made of the index, as a column: spread over the whole range, as random ones are. */
function uuidOf(text: string): string {
  return `overlay(overlay(md5(${text}) placing '4' from 13) placing '8' from 17)::uuid::text`;
}

const idOf = uuidOf("index::text");

/**
 * Devices with ten facts each, in `all` and in one of 200 groups, half of them with an action; all have a state for one of four products.
 */
function statements(devices: number): readonly string[] {
  const from = `FROM generate_series(1, ${devices}) AS index`;
  const facts = [
    ["os.id", `CASE index % 3 WHEN 0 THEN '"ubuntu"' ELSE '"debian"' END`],
    ["os.name", `'"Debian GNU/Linux ' || 11 + index % 3 || '"'`],
    ["os.version", `'"' || 11 + index % 3 || '"'`],
    ["kernel.release", `'"6.1.0-' || index % 40 || '-amd64"'`],
    ["cpu.architecture", `'"x86_64"'`],
    ["cpu.count", `(1 + index % 64)::text`],
    ["memory.bytes", `((1 + index % 64)::bigint * 1073741824)::text`],
    ["tpm.version", `CASE index % 10 WHEN 0 THEN '"none"' ELSE '"2.0"' END`],
    ["host.timeZone", `'"Europe/Berlin"'`],
    ["hardware.vendor", `CASE index % 5 WHEN 0 THEN '"Dell Inc."' ELSE '"Lenovo"' END`],
  ];
  return [
    `INSERT INTO devices (id, name, state, enrolled_at, last_seen_at, facts_revision, assignment_revision)
     SELECT ${idOf}, 'host-' || index, 'enrolled', 1700000000000 + index, 1790000000000 - index % 86400000, 1, 1 ${from}`,
    ...facts.map(
      ([name, value]) =>
        `INSERT INTO facts (device_id, name, value_json, changed_at) SELECT ${idOf}, '${name}', ${value}, 1790000000000 ${from}`,
    ),
    `INSERT INTO groups (id, title, created_at, parent_id) SELECT 'group-' || index, 'Group ' || index, 0, 'all' FROM generate_series(0, ${groups - 1}) AS index`,
    ...["group_own", "group_members"].flatMap((table) => [
      `INSERT INTO ${table} (group_id, device_id) SELECT 'all', ${idOf} ${from}`,
      `INSERT INTO ${table} (group_id, device_id) SELECT 'group-' || index % ${groups}, ${idOf} ${from}`,
    ]),
    `INSERT INTO device_tags (device_id, tag) SELECT ${idOf}, 'site-' || index % 50 ${from} WHERE index % 2 = 0`,
    `INSERT INTO known_hotpatches (id, product, sequence, facts_json) SELECT 'known-' || index, 'elf/product-' || index, 1, '{}' FROM generate_series(0, ${products - 1}) AS index`,
    `INSERT INTO actions (id, device_id, hotpatch_id, wanted, state, reason, created_at, changed_at, times_json, processes_json)
     SELECT ${uuidOf("'a' || index")}, ${idOf}, 'known-' || index % ${products}, 'applied', CASE index % 50 WHEN 1 THEN 'failed' WHEN 3 THEN 'refused' ELSE 'verified' END, '', 1, 1, '{}', '[]' ${from} WHERE index % 2 = 1`,
    `INSERT INTO device_states (device_id, product, state, code, hotpatch_id, sequence, reason, helps, since)
     SELECT ${idOf}, 'elf/product-' || index % ${products}, CASE WHEN index % 2 = 0 THEN 'eligible' WHEN index % 50 = 1 THEN 'failed' WHEN index % 50 = 3 THEN 'ineligible' ELSE 'verified' END, 'action/none', 'known-' || index % ${products}, 1, '', '', 1 ${from}`,
    "ANALYZE",
  ];
}

/** Into a database that a server has made. */
export async function loadFleet(address: string, devices: number, say: (line: string) => void): Promise<void> {
  const from = performance.now();
  await inDatabase(address, async (client) => {
    for (const statement of statements(devices)) await client.query(statement);
  });
  say(`${devices} devices loaded in ${((performance.now() - from) / 1e3).toFixed(0)} s`);
}

interface Question<Name extends RouteName = RouteName> {
  readonly what: string;
  readonly route: Name;
  readonly given: Given<Name>;
}

function question<Name extends RouteName>(what: string, route: Name, given: Given<Name>): Question {
  return { what, route, given } as unknown as Question;
}

/** `device` is one of them, `cursor` leads into the middle of the list. */
function questions(device: string, cursor: string): readonly Question[] {
  const some = { limit: 50 };
  return [
    question("devices, first page", "listDevices", { query: some }),
    question("devices, a page in the middle", "listDevices", { query: { ...some, cursor } }),
    question("devices by name", "listDevices", { query: { ...some, sort: "name" } }),
    question("devices, seen last", "listDevices", { query: { ...some, sort: "-lastSeenAt" } }),
    question("devices of a group", "listDevices", { query: { ...some, group: "group-7" } }),
    question("devices by a word that many have", "listDevices", { query: { ...some, text: "debian" } }),
    question("devices by a word that one has", "listDevices", { query: { ...some, text: "host-777777" } }),
    question("devices by a filter that many pass", "listDevices", {
      query: { ...some, filter: "cpu.count > 32" },
    }),
    question("devices by a filter that few pass", "listDevices", {
      query: { ...some, filter: 'kernel.release == "6.1.0-39-amd64" && cpu.count == 1' },
    }),
    question("one device", "getDevice", { params: { deviceId: device } }),
    question("its facts", "getFacts", { params: { deviceId: device } }),
    question("its groups, and why", "listGroupReasons", { params: { deviceId: device } }),
    question("its states, and why", "explainDevice", { params: { deviceId: device } }),
    question("groups", "listGroups", { query: some }),
    question("members of a group", "listMembers", { params: { groupId: "group-7" }, query: some }),
    question("how many are in which state, all products", "countDeviceStates", { query: {} }),
    question("how many are in which state, one product", "countDeviceStates", { query: { product: "elf/product-1" } }),
    question("how many are in which state, one group", "countDeviceStates", { query: { group: "group-7" } }),
    question("those that failed, of a product", "listDeviceStates", {
      query: { ...some, product: "elf/product-1", state: "failed" },
    }),
    question("those that are not targeted", "listDeviceStates", {
      query: { ...some, product: "elf/product-1", state: "notTargeted" },
    }),
    question("actions that failed", "listActions", { query: { ...some, state: "failed" } }),
    question("actions of a device", "listActions", { query: { ...some, deviceId: device } }),
    question("actions of a hotpatch", "listActions", { query: { ...some, hotpatchId: "known-1" } }),
    question("approvals", "listApprovals", { query: some }),
    question("the newest events", "listEvents", { query: { ...some, before: 1_000_000_000 } }),
  ];
}

const rounds = 5;

/** The median of each question in milliseconds, through the server. */
export async function askAboutFleet(state: string, aimMs: number, say: (line: string) => void): Promise<void> {
  const { items, next } = await ask(state, "listDevices", { query: { limit: 200 } });
  const device = items[100]?.id ?? "";
  let late = 0;
  const all = questions(device, next ?? "");
  for (const { what, route, given } of all) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const from = performance.now();
      await ask(state, route, given);
      times.push(performance.now() - from);
    }
    const median = times.toSorted((one, other) => one - other)[Math.floor(rounds / 2)] ?? Number.NaN;
    if (median > aimMs) late += 1;
    say(`${what.padEnd(44)} ${median.toFixed(0).padStart(7)} ms${median > aimMs ? "  over the aim" : ""}`);
  }
  say(`${all.length - late} of ${all.length} questions within ${aimMs} ms`);
}

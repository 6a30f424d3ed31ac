/** docs/device-states.md with its tables as the data says: what stands between the marks is made anew. */

import { deviceStateTables } from "../../../src/api/device-state-table.ts";
import { eligibilityTable } from "../../../src/api/eligibility-rules.ts";

export const deviceStatesFile = new URL("../../../docs/device-states.md", import.meta.url);

const tables: Readonly<Record<string, () => string>> = {
  states: deviceStateTables,
  rules: eligibilityTable,
};

export function withTables(document: string): string {
  return document.replaceAll(
    /(<!-- made: (\w+) -->\n\n)[\s\S]*?(\n<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}${tables[name]?.() ?? ""}${end}`,
  );
}

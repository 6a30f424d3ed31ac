/** docs/facts.md, whole, from the catalog of facts. */
import { factCatalog } from "../../src/api/fact-catalog.ts";

const types = {
  text: "`string`",
  whole: "`int`",
  flag: "`bool`",
  list: "`list(string)`",
  map: "`map(string, string)`",
};

export function factsDocument(): string {
  return [
    "# Facts",
    "",
    "What a device may tell of itself, from src/api/fact-catalog.ts.",
    "Made by `node scripts/with-node.mjs test/api/write-facts-document.ts`; a test tells when it is stale.",
    "",
    "A fact whose source is absent on a machine, or not the agent's to read, is not told.",
    "A word in capitals in a name stands for many facts.",
    "[filters.md](filters.md) says how expressions ask for them; the types are those of expressions.",
    "",
    ...factCatalog.flatMap(({ title, rows }) => [
      `## ${title}`,
      "",
      "| fact | type | unit | what it means | where it comes from |",
      "|---|---|---|---|---|",
      ...rows.map(
        ({ name, type, unit = "", meaning, source }) =>
          `| \`${name}\` | ${types[type]} | ${unit} | ${meaning} | ${source} |`,
      ),
      "",
    ]),
  ]
    .join("\n")
    .trimEnd()
    .concat("\n");
}

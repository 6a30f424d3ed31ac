/** The cases: a folder each with `case.json` and `fix.diff`, found by looking. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface StockCase {
  /** The folder's name. */
  readonly id: string;
  readonly folder: string;
  /** What is asked, for people. */
  readonly what: string;
  /** The Debian source package. */
  readonly package: string;
  /** The stock binary that is patched. */
  readonly binary: string;
  /** The stock program that runs it. */
  readonly argv: readonly string[];
  /** Files that it finds where it is started. */
  readonly files?: Readonly<Record<string, string>>;
  /** Written to its standard input. */
  readonly ask: string;
  /** A regular expression; its group is the answer. */
  readonly reply: string;
  /** What the answer matches with the stock code, and with the fix. */
  readonly before: string;
  readonly after: string;
}

const casesFolder = join(import.meta.dirname, "cases");

export function readStockCases(only?: readonly string[]): StockCase[] {
  const cases = readdirSync(casesFolder)
    .sort()
    .map((id): StockCase => {
      const folder = join(casesFolder, id);
      return { ...(JSON.parse(readFileSync(join(folder, "case.json"), "utf8")) as StockCase), id, folder };
    });
  const unknown = (only ?? []).filter((id) => !cases.some((one) => one.id === id));
  if (unknown.length > 0) throw new Error(`there is no case ${unknown.join(", ")}`);
  return only === undefined ? cases : cases.filter(({ id }) => only.includes(id));
}

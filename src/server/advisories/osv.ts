/** OSV (OpenSSF, schema 1): one vulnerability a document. */
import type { AdvisoryNote } from "../../api/schemas/catalog.ts";
import { type Fields, fields, idOf, ids, list, ratings, severityOf, textOf, urls, worst } from "./fields.ts";

/** `id` and `modified` are what every document has. */
export function isOsv(value: unknown): boolean {
  const { id, modified, document } = fields(value);
  return typeof id === "string" && typeof modified === "string" && document === undefined;
}

export function osvNotes(value: unknown): AdvisoryNote[] {
  const root = fields(value);
  const own = idOf(root.id);
  if (own === undefined) return [];
  const all = ids([own, ...list(root.aliases)], 65);
  // What is signed names holes by CVE, so that name comes first.
  const id = all.find((name) => name.startsWith("CVE-")) ?? own;
  const affected = list(root.affected).map(fields);
  const told = [...list(root.severity), ...affected.flatMap(({ severity }) => list(severity))].map((entry) => ({
    vector: fields(entry).score,
  }));
  const { cvss, doubts } = ratings(told);
  const withdrawn = textOf(root.withdrawn);
  return [
    {
      id,
      aliases: all.filter((name) => name !== id),
      title: textOf(root.summary) || firstLine(root.details),
      text: textOf(root.details, 2000),
      severity: worst(cvss) ?? severityOf(fields(root.database_specific).severity),
      cvss,
      exploited: null,
      products: productsOf(affected),
      references: urls(list(root.references).map((entry) => fields(entry).url)),
      source: { format: "osv", publisher: publisherOf(own), document: own, version: textOf(root.modified) },
      doubts: withdrawn === "" ? doubts : [`withdrawn by its source on ${withdrawn}`, ...doubts].slice(0, 32),
    },
  ];
}

function firstLine(details: unknown): string {
  return textOf(textOf(details, 2000).split("\n")[0]);
}

function productsOf(affected: readonly Fields[]): string[] {
  const names = affected.map((one) => {
    const { ecosystem, name } = fields(one.package);
    return textOf([ecosystem, name].filter((part) => typeof part === "string").join("/"));
  });
  return [...new Set(names)].filter((name) => name !== "").slice(0, 200);
}

/** The database that gave the id, as its prefix says: GHSA, DSA, PYSEC and so on. */
function publisherOf(id: string): string {
  return id.split("-")[0] ?? id;
}

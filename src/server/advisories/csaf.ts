/** CSAF 2.0 (OASIS Standard, 18 November 2022): the vulnerabilities of a document, section 3.2.3. */
import type { AdvisoryNote } from "../../api/schemas/catalog.ts";
import { type Fields, fields, ids, list, ratings, severityOf, textOf, urls, worst } from "./fields.ts";

/** Section 3.2.1.2: `/document/csaf_version`. */
export function isCsaf(value: unknown): boolean {
  return fields(fields(value).document).csaf_version === "2.0";
}

export function csafNotes(value: unknown): AdvisoryNote[] {
  const root = fields(value);
  const document = fields(root.document);
  const tracking = fields(document.tracking);
  const source: AdvisoryNote["source"] = {
    format: "csaf",
    publisher: textOf(fields(document.publisher).name),
    document: textOf(tracking.id),
    version: textOf(tracking.version),
  };
  const products = productNames(root.product_tree);
  const severity = severityOf(fields(document.aggregate_severity).text);
  const title = textOf(document.title);
  return list(root.vulnerabilities)
    .slice(0, 2000)
    .flatMap((one) => noteOf(fields(one), { source, products, severity, title }));
}

interface Around {
  readonly source: AdvisoryNote["source"];
  readonly products: ReadonlyMap<string, string>;
  readonly severity: AdvisoryNote["severity"];
  readonly title: string;
}

function noteOf(one: Fields, { source, products, severity, title }: Around): AdvisoryNote[] {
  const named = ids([one.cve, ...list(one.ids).map((entry) => fields(entry).text)]);
  const [id] = named;
  if (id === undefined) return [];
  const told = list(one.scores).flatMap((score) => {
    const { cvss_v2, cvss_v3 } = fields(score);
    return [cvss_v3, cvss_v2].map((cvss) => ({ vector: fields(cvss).vectorString, score: fields(cvss).baseScore }));
  });
  const { cvss, doubts } = ratings(told);
  return [
    {
      id,
      aliases: named.slice(1),
      title: textOf(one.title) || title,
      text: noteText(one.notes),
      severity: worst(cvss) ?? severity,
      cvss,
      exploited: isExploited(one),
      products: affected(one, products),
      references: urls(list(one.references).map((entry) => fields(entry).url)),
      source,
      doubts,
    },
  ];
}

/** Section 3.1.5: of all notes, the description, or else the summary. */
function noteText(notes: unknown): string {
  const all = list(notes).map(fields);
  const chosen =
    all.find(({ category }) => category === "description") ?? all.find(({ category }) => category === "summary");
  return textOf(chosen?.text, 2000);
}

/** Section 3.2.3.14: a threat of the category exploit_status; vendors write it in words, so only plain ones count. */
function isExploited(one: Fields): boolean | null {
  const said = list(one.threats)
    .map(fields)
    .filter(({ category }) => category === "exploit_status")
    .map(({ details }) => textOf(details));
  if (said.some((details) => /\bexploited:\s*yes\b|\bactively exploited\b|\bexploited in the wild\b/i.test(details)))
    return true;
  return said.some((details) => /\bexploited:\s*no\b|\bno known exploit/i.test(details)) ? false : null;
}

/** Section 3.2.3.9: what is affected, or was fixed. */
function affected(one: Fields, products: ReadonlyMap<string, string>): string[] {
  const status = fields(one.product_status);
  const found = ["known_affected", "fixed", "first_affected", "last_affected", "recommended"].flatMap((name) =>
    list(status[name]),
  );
  const names = found.flatMap((id) => (typeof id === "string" ? (products.get(id) ?? []) : []));
  return [...new Set(names)].slice(0, 200);
}

/** Section 3.2.2: names of products by their ids, from branches, full names and relationships. */
function productNames(tree: unknown): Map<string, string> {
  const names = new Map<string, string>();
  const keep = (product: unknown) => {
    const { product_id: id, name } = fields(product);
    if (typeof id === "string" && names.size < 20_000) names.set(id, textOf(name) || textOf(id));
  };
  const { branches, full_product_names, relationships } = fields(tree);
  for (const product of list(full_product_names)) keep(product);
  for (const relationship of list(relationships)) keep(fields(relationship).full_product_name);
  // The depth of the document was bounded before it was parsed; the branches of all levels stand in one list here.
  const open = [...list(branches)];
  for (let branch = open.pop(); branch !== undefined; branch = open.pop()) {
    const { product, branches: below } = fields(branch);
    keep(product);
    open.push(...list(below));
  }
  return names;
}

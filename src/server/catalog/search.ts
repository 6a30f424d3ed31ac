/** Looking for something in the catalog: all that is given has to hold. */
import { type Baseline, type CatalogSearch, severities, type Withdrawal } from "../../api/schemas/catalog.ts";
import type { Hotpatch, HotpatchDetails } from "../../api/schemas/hotpatches.ts";
import { RebootlessError } from "../../base/errors.ts";
import { advisoriesAbout } from "../advisories/advisories.ts";
import type { ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import { type Catalog, requireCatalog } from "./catalog.ts";

type Entry = Hotpatch | Baseline;

function productOf(entry: Entry): string {
  return "target" in entry ? `${entry.target.kind}/${entry.target.name}` : entry.system.id;
}

function idsOf({ advisories, release }: Entry): string[] {
  return [...advisories, ...release.ratings].map(({ id }) => id.toLowerCase());
}

function hasWords(entry: Entry, text: string): boolean {
  const where = [entry.id, entry.title, productOf(entry), ...idsOf(entry)].join("\n").toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => where.includes(word));
}

function isProduct(entry: Entry, product: string): boolean {
  const own = productOf(entry);
  return own === product || own.slice(own.indexOf("/") + 1) === product;
}

/** Pure; exported for its tests. */
export function matches(entry: Entry, asked: CatalogSearch): boolean {
  const { text, cve, severity, product, stage, channel, exploited } = asked;
  if (text !== undefined && !hasWords(entry, text)) return false;
  if (cve !== undefined && !idsOf(entry).includes(cve.toLowerCase())) return false;
  if (severity !== undefined && severities.indexOf(entry.severity ?? "low") < severities.indexOf(severity))
    return false;
  // Of what nobody rated, nobody can say that it is of low severity.
  if (severity !== undefined && entry.severity === null) return false;
  if (product !== undefined && !isProduct(entry, product)) return false;
  if (stage !== undefined && entry.release.stage !== stage) return false;
  if (channel !== undefined && entry.release.channel !== channel) return false;
  return exploited === undefined || entry.exploited === exploited;
}

function pageOf<Item extends Entry>(all: readonly Item[], asked: CatalogSearch): Page<Item> {
  const { after, rows } = pageBounds(asked);
  const found = all.filter((entry) => entry.id > after && matches(entry, asked));
  return pageFrom(found.slice(0, rows), asked, (entry) => entry);
}

export async function listHotpatches(catalog: Catalog | undefined, asked: CatalogSearch): Promise<Page<Hotpatch>> {
  return pageOf((await requireCatalog(catalog).content()).hotpatches, asked);
}

export async function listBaselines(catalog: Catalog | undefined, asked: CatalogSearch): Promise<Page<Baseline>> {
  return pageOf((await requireCatalog(catalog).content()).baselines, asked);
}

export async function listWithdrawals(catalog: Catalog | undefined): Promise<{ items: Withdrawal[] }> {
  return { items: [...(await requireCatalog(catalog).content()).withdrawn] };
}

/** Throws `request/not-found`. */
export async function getHotpatch({ catalog, database }: ServerContext, id: string): Promise<HotpatchDetails> {
  const { hotpatches, withdrawn } = await requireCatalog(catalog).content();
  const hotpatch = hotpatches.find((one) => one.id === id) ?? null;
  const withdrawal = withdrawn.find((one) => one.kind === "hotpatch" && one.id === id) ?? null;
  if (hotpatch === null && withdrawal === null) {
    throw new RebootlessError("request/not-found", `The catalog lists no hotpatch ${id}, and none was withdrawn.`);
  }
  return {
    hotpatch,
    withdrawal,
    supersededBy: hotpatches.filter(({ supersedes }) => supersedes.includes(id)).map((one) => one.id),
    advisoryNotes:
      hotpatch === null
        ? []
        : await advisoriesAbout(
            database,
            hotpatch.advisories.map((one) => one.id),
          ),
  };
}

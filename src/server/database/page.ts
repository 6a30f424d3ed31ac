/** Pages of a list that is ordered by id: a cursor is where the page before ended, written so that nobody builds on what is in it. */
import { apiLimits } from "../../api/api-limits.ts";

export interface PageAsked {
  readonly cursor?: string;
  readonly limit?: number;
}

export interface Page<Item> {
  items: Item[];
  next?: string;
}

/** Behind which id to begin, and how many rows to read: one more than the page has, which tells whether another follows. */
export function pageBounds({ cursor, limit }: PageAsked): { after: string; rows: number } {
  const after = cursor === undefined ? "" : Buffer.from(cursor, "base64url").toString("utf8");
  return { after, rows: (limit ?? apiLimits.pageItemsByDefault) + 1 };
}

export function pageFrom<Row extends { id: string }, Item>(
  rows: readonly Row[],
  asked: PageAsked,
  shown: (row: Row) => Item,
): Page<Item> {
  const { rows: wanted } = pageBounds(asked);
  const kept = rows.slice(0, wanted - 1);
  const items = kept.map(shown);
  const last = kept.at(-1);
  if (rows.length < wanted || last === undefined) return { items };
  return { items, next: Buffer.from(last.id, "utf8").toString("base64url") };
}

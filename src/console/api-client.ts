/** The page's way to the server: the routes of the contract, by their method and path, under the page's own origin. */
import type { Problem } from "../api/problem.ts";
import type { Answered, Asked, RouteName, routes } from "../api/routes.ts";

/** The route at a method and path; only types come from the contract, so that none of its code is in the page. */
type RouteAt<Method, Path> = {
  [Name in RouteName]: (typeof routes)[Name] extends { method: Method; path: Path } ? Name : never;
}[RouteName];
type Method = (typeof routes)[RouteName]["method"];
type PathOf<M extends Method> = Extract<(typeof routes)[RouteName], { method: M }>["path"];

type Given<Name extends RouteName> = { [Part in keyof Asked<Name>]?: Asked<Name>[Part] };

/** Why something was not done, as the server says it. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, detail: string) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}

/** Throws `ProblemError`; its code is `page/offline` where no answer came. */
export async function ask<M extends Method, Path extends PathOf<M>>(
  method: M,
  path: Path,
  given: Given<RouteAt<M, Path>> = {},
): Promise<Answered<RouteAt<M, Path>>> {
  const {
    params = {},
    query = {},
    body,
  } = given as Record<"params" | "query", Record<string, unknown> | undefined> & {
    body?: unknown;
  };
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name] ?? "")));
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) asked.set(name, String(value));
  const address = asked.size === 0 ? filled : `${filled}?${asked}`;
  const sent: RequestInit = { method, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    sent.body = JSON.stringify(body);
    sent.headers = { "content-type": "application/json" };
  }
  const { status, text } = await exchange(address, sent);
  if (status >= 400) throw problemOf(text, status);
  return (text === "" ? undefined : JSON.parse(text)) as Answered<RouteAt<M, Path>>;
}

async function exchange(address: string, sent: RequestInit): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(address, sent);
    return { status: response.status, text: await response.text() };
  } catch {
    // Why a request got no answer is kept from pages.
    throw new ProblemError("page/offline", 0, "The server does not answer; try again once it does.");
  }
}

function problemOf(text: string, status: number): ProblemError {
  try {
    const { code, detail } = JSON.parse(text) as Partial<Problem>;
    if (code !== undefined && detail !== undefined) return new ProblemError(code, status, detail);
  } catch {
    // Not from this server, such as the page of a proxy; the status says what there is to say.
  }
  return new ProblemError("page/answer", status, `The server answers with status ${status} and no reason.`);
}

/** All items of a list, page by page. */
export async function askAll<Item>(
  page: (query: { limit: number; cursor?: string }) => Promise<{ items: Item[]; next?: string }>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const answer = await page(cursor === undefined ? { limit: 200 } : { limit: 200, cursor });
    items.push(...answer.items);
    cursor = answer.next;
  } while (cursor !== undefined);
  return items;
}

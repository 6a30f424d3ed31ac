/**
 * Keeps webhooks from reaching what only the server can reach (server-side request forgery, OWASP ASVS 4.0.3 clause 12.6.1).
 *
 * A name is resolved once, each of its addresses is judged, and the connection goes to one that was judged, so that a name that changes in between gains nothing.
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { RebootlessError } from "../../base/errors.ts";

/** Special-purpose addresses (RFC 6890 and its registry): this machine, private networks, links, and what is for nobody. */
const specialNetworks = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"],
  ...["240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32"],
  ...["2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
];

const special = new BlockList();
for (const network of specialNetworks) {
  const [address = "", prefix] = network.split("/");
  special.addSubnet(address, Number(prefix), isIP(address) === 4 ? "ipv4" : "ipv6");
}

/** Whether it is an address of the public Internet. An IPv4 address in IPv6 clothes counts as what it is. */
export function isPublic(address: string): boolean {
  const inner = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (inner !== undefined) return isPublic(inner);
  const family = isIP(address);
  if (family === 0 || /^::ffff:/i.test(address)) return false;
  return !special.check(address, family === 4 ? "ipv4" : "ipv6");
}

export interface Resolved {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Throws `request/invalid` for what is not to be asked, and whatever resolving throws. */
export async function resolveSafely(url: URL, { allowPrivate }: { readonly allowPrivate: boolean }): Promise<Resolved> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const found = isIP(host) > 0 ? [{ address: host, family: isIP(host) }] : await lookup(host, { all: true });
  const [first] = found;
  if (first === undefined) throw new RebootlessError("request/invalid", `${host} has no address.`);
  const wrong = found.find(({ address }) => !isPublic(address));
  if (wrong !== undefined && !allowPrivate) {
    throw new RebootlessError(
      "request/invalid",
      `${host} is ${wrong.address}, which is not an address of the public Internet; the server was not started with --webhooks-to-private-addresses.`,
    );
  }
  return { address: first.address, family: first.family === 6 ? 6 : 4 };
}

/** Throws `request/invalid`. Plain HTTP is for private addresses alone, where they are allowed. */
export function checkUrl(text: string, { allowPrivate }: { readonly allowPrivate: boolean }): URL {
  if (!URL.canParse(text)) throw new RebootlessError("request/invalid", "The address is no URL.");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw new RebootlessError("request/invalid", "The address of a webhook has no user and no password.");
  }
  if (url.protocol !== "https:" && !(allowPrivate && url.protocol === "http:")) {
    throw new RebootlessError("request/invalid", "The address of a webhook begins with https://.");
  }
  return url;
}

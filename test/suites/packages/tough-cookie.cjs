/** Checks for tough-cookie: jars that were filled before, new jars, and the parsing of cookies, domains, paths and dates. */
"use strict";
const { inspect } = require("node:util");
const { calls, each, grid } = require("../checks.cjs");

const cookies = [
  "a=b",
  "a=b; Path=/x",
  "a=b; Domain=example.com; Secure; HttpOnly",
  "a=b; Max-Age=60",
  "a=b; Expires=Wed, 06 Jul 2122 12:34:56 GMT",
  "a=b; SameSite=Lax",
  "=b",
  "a",
  "a=",
  "",
  ";",
  'a="q u"; Path="/"',
  "a=b=c; Domain=.example.com",
  "__Secure-a=b",
  "__Host-a=b; Secure; Path=/",
  "Slonser=polluted; Domain=__proto__; Path=/notauth",
  "a=b; Domain=__proto__; Path=polluted",
  "constructor=x",
  "__proto__=y; Path=/z",
  "a=b; Domain=com",
  "a=b; Domain=other.org",
  "a=b; Max-Age=-1",
  "ü=ö",
  "a=b\u0000c",
];
const urls = [
  "http://example.com/",
  "https://www.example.com/x/y",
  "https://__proto__/admin",
  "http://constructor/",
  "http://localhost/",
  "http://1.2.3.4/a",
];
const domains = [
  "example.com",
  ".example.com",
  "WWW.Example.COM",
  "com",
  "co.uk",
  "a.b.co.uk",
  "1.2.3.4",
  "[::1]",
  "localhost",
  "__proto__",
  "xn--bcher-kva.example",
  "",
];
const dates = [
  "Wed, 06 Jul 2022 12:34:56 GMT",
  "06-Jul-22 12:34:56",
  "Wed Jul 06 12:34:56 2022",
  "1 Jan 1970 00:00:00",
  "31 Feb 2022 00:00:00",
  "nonsense",
  "",
  "06 Jul 2022",
  "06 Jul 99 25:00:00",
];
const moment = new Date("2022-07-06T12:00:00Z");
const loose = { rejectPublicSuffixes: false };

function told(cookie) {
  if (cookie === undefined || cookie === null || cookie === false) return cookie;
  const { key, value, domain, path, secure, httpOnly, maxAge, sameSite, hostOnly } = cookie;
  return {
    key,
    value,
    domain,
    path,
    secure,
    httpOnly,
    maxAge,
    sameSite,
    hostOnly,
    text: cookie.cookieString(),
    valid: cookie.validate(),
  };
}

const before = ["before=1; Path=/kept", "http://example.com/", { now: moment }];

/** Each round begins alike: what an earlier one left, in the jars and through the open hole in every object, says nothing about the code. */
function empty(old, withStore) {
  // The domains `__proto__` and `constructor` lead the vulnerable version to these.
  for (const reached of [Object.prototype, Object]) for (const key of Object.keys(reached)) delete reached[key];
  for (const jar of [old, withStore]) jar.removeAllCookiesSync();
  old.setCookieSync(...before);
  return [old, withStore].map(stored);
}

/** The store as its owner would look at it; the indexes have no times in them. */
function stored(jar) {
  const index = jar.store.idx;
  return Object.keys(index).map((domain) => [
    domain,
    Object.keys(index[domain]).map((path) => [path, Object.keys(index[domain][path])]),
  ]);
}

const pathPairs = [
  ["/a/b", "/a"],
  ["/ab", "/a"],
  ["/a", "/a/"],
  ["/", "/"],
];

function jarChecks({ CookieJar, MemoryCookieStore, old, withStore }) {
  const setIn = (jar) => (cookie, url) => {
    const set = told(jar.setCookieSync(cookie, url, { now: moment, ignoreError: true }));
    return [set, jar.getCookieStringSync(url, { now: moment, expire: false }), {}["/notauth"], {}.polluted];
  };
  const fresh = () => new CookieJar(undefined, loose);
  const filled = () => {
    const jar = fresh();
    jar.setCookieSync("k=v; Path=/p", "http://h.example/", { now: moment });
    return jar;
  };
  const strict = (cookie, url) => told(new CookieJar().setCookieSync(cookie, url, { now: moment }));
  const all = cookies.flatMap((cookie) => urls.map((url) => [cookie, url]));
  const emptied = async (jar) => {
    await jar.removeAllCookies();
    return stored(jar);
  };
  const inspected = () => inspect(filled().store).replaceAll(/\b(aAge|cAge)=\d+ms/g, "$1");
  const keptBefore = () => old.getCookieStringSync("http://example.com/kept", { now: moment });
  return [
    ["what the old jar kept", () => keptBefore().split("; ").includes("before=1")],
    ["the jars, emptied for this round", () => empty(old, withStore)],
    ...calls("in the old jar", setIn(old), all),
    ["the old jar after all of that", () => stored(old)],
    ...calls("in a new jar", (cookie, url) => setIn(fresh())(cookie, url), all),
    ...calls("in a strict new jar", strict, all.slice(0, 40)),
    ...calls("in a jar with a given store", setIn(withStore), all.slice(60, 110)),
    ["an empty store, inspected", () => inspect(new MemoryCookieStore())],
    ["a filled store, inspected", inspected],
    ["an emptied new jar", () => emptied(fresh())],
    ["a jar there and back", () => stored(CookieJar.deserializeSync(filled().serializeSync()))],
    ["a clone", () => stored(old.cloneSync())],
  ];
}

function parsingChecks({ Cookie, rest }) {
  const { parseDate, canonicalDomain, domainMatch, defaultPath, pathMatch, permuteDomain, permutePath } = rest;
  const { getPublicSuffix, version } = rest;
  const matched = (domain) => [domainMatch(domain, "example.com"), domainMatch("www.example.com", domain)];
  const lists = domains.map((domain) => [domain]);
  return [
    ...each("parse", (text) => told(Cookie.parse(text)), cookies),
    ...each("parse loosely", (text) => told(Cookie.parse(text, { loose: true })), cookies),
    ...grid({ canonicalDomain, getPublicSuffix, permuteDomain }, lists),
    ...each("domainMatch", matched, domains),
    ...each("defaultPath", defaultPath, ["/", "/a/b", "a", "", "/a/"]),
    ...calls("pathMatch", pathMatch, pathPairs),
    ...each("permutePath", permutePath, ["/", "/a/b/c", "/a/"]),
    ...each("parseDate", parseDate, dates),
    ["the version that the library states", () => version],
  ];
}

module.exports = {
  keep: ({ CookieJar, Cookie, MemoryCookieStore, ...rest }) => {
    const old = new CookieJar(undefined, loose);
    old.setCookieSync(...before);
    const withStore = new CookieJar(new MemoryCookieStore(), { looseMode: true, rejectPublicSuffixes: false });
    return { CookieJar, Cookie, MemoryCookieStore, rest, old, withStore };
  },
  checks: (kept) => [...jarChecks(kept), ...parsingChecks(kept)],
};

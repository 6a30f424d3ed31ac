/** Checks for jsonwebtoken: each algorithm with each kind of key, options, and tokens that someone else made. */
"use strict";
const { calls } = require("../checks.cjs");

const issuedAt = 1_657_111_111;
const at = { clockTimestamp: issuedAt + 10 };
const algorithms = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "none",
  "XX256",
];
const payloads = [
  { a: 1, iat: issuedAt },
  "text",
  Buffer.from("bytes"),
  { iat: "no number" },
  { exp: 1, iat: issuedAt },
  [1],
  null,
  undefined,
  5,
];
const options = [
  {},
  { expiresIn: 60 },
  { expiresIn: "1h" },
  { expiresIn: "nonsense" },
  { expiresIn: 1.5 },
  { notBefore: 30 },
  { audience: ["a", "b"], issuer: "me", subject: "s", jwtid: "j" },
  { keyid: "k", header: { x: 1 } },
  { keyid: 5 },
  { noTimestamp: true },
  { unknown: 1 },
  { mutatePayload: true },
  { allowInsecureKeySizes: true },
  { allowInsecureKeySizes: "yes" },
  { allowInvalidAsymmetricKeyTypes: true },
  { encoding: "utf8" },
  null,
  "text",
];
const demands = [
  {},
  { algorithms: ["HS256"] },
  { algorithms: ["none"] },
  { algorithms: "HS256" },
  { audience: "a" },
  { audience: /^b/ },
  { issuer: ["you", "me"] },
  { issuer: "other" },
  { subject: "s" },
  { jwtid: "x" },
  { maxAge: 5 },
  { maxAge: "1h" },
  { nonce: "" },
  { nonce: "n" },
  { complete: true },
  { clockTolerance: 3600 },
  { ignoreExpiration: true, ignoreNotBefore: true },
  { clockTimestamp: "x" },
  { allowInvalidAsymmetricKeyTypes: true },
  { allowInvalidAsymmetricKeyTypes: 1 },
];

const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const strange = [
  "",
  "a.b",
  "a.b.c",
  `${encode({ alg: "none", typ: "JWT" })}.${encode({ admin: 1 })}.`,
  `${encode({ alg: "NONE" })}.${encode({ admin: 1 })}.`,
  `${encode({ alg: "HS256" })}.${encode({ admin: 1 })}.`,
  `${encode({ alg: "HS256" })}.${encode("text")}.abc`,
  `${encode({})}.${encode({})}.x`,
  `${encode("x")}.${encode({})}.x`,
  null,
  5,
  {},
];

const lenient = { allowInsecureKeySizes: true, allowInvalidAsymmetricKeyTypes: true };
const secret = "a secret that is long enough";

/** PS and ES signatures differ each time, so that of those only the rest counts. */
function steady(token) {
  if (typeof token !== "string") return token;
  const [header = "", payload = ""] = token.split(".");
  return [header, payload].map((part) => Buffer.from(part, "base64url").toString("latin1"));
}

/** Errors by their classes and the first line of their message. */
function guardFor(errors) {
  const told = (error) => {
    // How long a part of an ES signature is differs from one signature to the next.
    const message = String(error.message)
      .split("\n", 1)[0]
      .replace(/length of "\d+"/, "length");
    return `${errors.map((one) => error instanceof one)} ${error.name}: ${message}`;
  };
  const guarded = (work) => {
    try {
      return work();
    } catch (error) {
      return told(error);
    }
  };
  const later = (work) =>
    new Promise((resolve) => work((error, value) => resolve(error ? told(error) : steady(value))));
  return { guarded, later };
}

/** An object gets a fixed time of issue. */
function dated(payload) {
  const isObject = typeof payload === "object" && payload !== null && !Buffer.isBuffer(payload);
  return isObject ? { iat: issuedAt, ...payload } : payload;
}

function signingChecks({ sign, verify, errors, keys }) {
  const { guarded, later } = guardFor(errors);
  const pairs = { secret: [secret, secret], none: ["", ""], nothing: [undefined, undefined], number: [5, 5], ...keys };
  const both = (algorithm, kind, more) =>
    guarded(() => {
      const [own, other] = pairs[kind];
      const token = sign({ a: 1, iat: issuedAt }, own, { algorithm, ...more });
      const verified = [other, secret].flatMap((key) => [
        guarded(() => verify(token, key, at)),
        guarded(() => verify(token, key, { ...at, algorithms: [algorithm] })),
      ]);
      return [steady(token), ...verified];
    });
  const signed = (payload, option) =>
    guarded(() => sign(option?.noTimestamp ? payload : dated(payload), secret, option));
  const byCallback = (kind, algorithm) => later((done) => sign({ iat: issuedAt }, pairs[kind][0], { algorithm }, done));
  const misused = () => verify(sign({ iat: issuedAt }, keys.rsa[1], { algorithm: "HS256" }), keys.rsa[1], at);
  const everything = algorithms.flatMap((algorithm) => Object.keys(pairs).map((kind) => [algorithm, kind]));
  const leniently = algorithms.flatMap((algorithm) => ["small", "ec384"].map((kind) => [algorithm, kind, lenient]));
  return [
    ...calls("signed and verified", both, [...everything, ...leniently]),
    ...calls(
      "sign",
      signed,
      payloads.slice(0, -2).flatMap((payload) => options.map((option) => [payload, option])),
    ),
    ...calls("sign by a callback", byCallback, [
      ["secret", "HS256"],
      ["rsa", "RS256"],
      ["small", "RS256"],
      ["ec256", "ES256"],
      ["nothing", "HS256"],
    ]),
    ["a public key taken for a secret", () => guarded(misused)],
  ];
}

function verifyingChecks({ library, sign, verify, decode, errors, keys }) {
  const { guarded, later } = guardFor(errors);
  const token = (more) => sign({ iat: issuedAt }, secret, more);
  const rich = () => token({ audience: ["a", "b"], issuer: "me", subject: "s", jwtid: "j", expiresIn: 60 });
  const inTime = (demand) => guarded(() => verify(rich(), secret, { ...at, ...demand }));
  const tooLate = (demand) => guarded(() => verify(rich(), secret, { clockTimestamp: issuedAt + 100, ...demand }));
  const tooEarly = (demand) => guarded(() => verify(token({ notBefore: 60 }), secret, { ...at, ...demand }));
  const none = { algorithms: ["none"] };
  const given = strange.flatMap((one) => [
    ...[
      [one, secret],
      [one, ""],
      [one, undefined],
      [one, secret, none],
    ],
    ...[
      [one, undefined, none],
      [one, keys.rsa[1]],
    ],
  ]);
  const decoded = strange.flatMap((one) => [[one], [one, { complete: true }], [one, { json: true }]]);
  const keyFrom = (give) => later((done) => verify(rich(), (_header, answer) => give(answer), at, done));
  const isListed = () => Object.getOwnPropertyDescriptor(library, "decode")?.enumerable;
  return [
    ...calls("verify", inTime, demands),
    ...calls("verify when it has expired", tooLate, demands),
    ...calls("verify before its time", tooEarly, demands),
    ...calls("verify a strange token", (...list) => guarded(() => verify(...list)), given),
    ...calls("verify by a callback", (one) => later((done) => verify(one, secret, at, done)), strange),
    ...calls("decode", (...list) => guarded(() => decode(...list)), decoded),
    ["a key from a callback", () => keyFrom((answer) => answer(null, secret))],
    ["a failing callback for the key", () => keyFrom((answer) => answer(new Error("no key")))],
    ["the exports", () => [Object.keys(library).sort(), typeof library.decode, isListed()]],
  ];
}

module.exports = {
  keep: (library, requireHere) => {
    const { sign, verify, decode, JsonWebTokenError, TokenExpiredError, NotBeforeError } = library;
    const errors = [JsonWebTokenError, TokenExpiredError, NotBeforeError];
    return { library, sign, verify, decode, errors, keys: requireHere("./suite-keys.json") };
  },
  checks: (kept) => [...signingChecks(kept), ...verifyingChecks(kept)],
};

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

module.exports = {
  keep: (library, require) => {
    const { sign, verify, decode, JsonWebTokenError, TokenExpiredError, NotBeforeError } = library;
    return {
      library,
      sign,
      verify,
      decode,
      errors: [JsonWebTokenError, TokenExpiredError, NotBeforeError],
      keys: require("./suite-keys.json"),
    };
  },
  checks: ({ library, sign, verify, decode, errors, keys }) => {
    const pairs = {
      secret: ["a secret that is long enough", "a secret that is long enough"],
      none: ["", ""],
      nothing: [undefined, undefined],
      number: [5, 5],
      ...keys,
    };
    const kindOf = (error) =>
      `${errors.map((one) => error instanceof one)} ${error.name}: ${error.message}`.replace(/\n[\s\S]*/, "");
    const guarded = (work) => {
      try {
        return work();
      } catch (error) {
        return kindOf(error);
      }
    };
    // PS and ES signatures differ each time, so that of those only the rest counts.
    const steady = (token) =>
      typeof token === "string"
        ? token
            .split(".")
            .slice(0, 2)
            .map((part) => Buffer.from(part, "base64url").toString("latin1"))
        : token;
    const signedAndVerified = (algorithm, kind, more) =>
      guarded(() => {
        const token = sign({ a: 1, iat: issuedAt }, pairs[kind][0], { algorithm, ...more });
        return [
          steady(token),
          guarded(() => verify(token, pairs[kind][1], at)),
          guarded(() => verify(token, pairs[kind][1], { ...at, algorithms: [algorithm] })),
          guarded(() => verify(token, pairs.secret[1], at)),
        ];
      });
    const secret = pairs.secret[0];
    const token = (payload = {}, more = {}) => sign({ iat: issuedAt, ...payload }, secret, more);
    const rich = () => token({}, { audience: ["a", "b"], issuer: "me", subject: "s", jwtid: "j", expiresIn: 60 });
    const later = (work) =>
      new Promise((resolve) => work((error, value) => resolve(error ? kindOf(error) : steady(value))));
    const kinds = Object.keys(pairs);
    return [
      ...calls(
        "signed and verified",
        signedAndVerified,
        algorithms.flatMap((algorithm) => kinds.map((kind) => [algorithm, kind])),
      ),
      ...calls(
        "signed and verified",
        signedAndVerified,
        algorithms.flatMap((algorithm) =>
          ["small", "ec384"].map((kind) => [
            algorithm,
            kind,
            { allowInsecureKeySizes: true, allowInvalidAsymmetricKeyTypes: true },
          ]),
        ),
      ),
      ...calls(
        "sign",
        (payload, option) =>
          guarded(() =>
            option?.noTimestamp || payload === undefined
              ? sign(payload, secret, option)
              : sign(
                  typeof payload === "object" && payload !== null && !Buffer.isBuffer(payload)
                    ? { iat: issuedAt, ...payload }
                    : payload,
                  secret,
                  option,
                ),
          ),
        payloads.flatMap((payload) => options.map((option) => [payload, option])),
      ),
      ...calls("verify", (demand) => guarded(() => verify(rich(), secret, { ...at, ...demand })), demands),
      ...calls(
        "verify when it has expired",
        (demand) => guarded(() => verify(rich(), secret, { clockTimestamp: issuedAt + 100, ...demand })),
        demands,
      ),
      ...calls(
        "verify before its time",
        (demand) => guarded(() => verify(token({}, { notBefore: 60 }), secret, { ...at, ...demand })),
        demands,
      ),
      ...calls(
        "verify a strange token",
        (given, key, demand) => guarded(() => verify(given, key, demand)),
        strange.flatMap((given) => [
          [given, secret],
          [given, ""],
          [given, undefined],
          [given, secret, { algorithms: ["none"] }],
          [given, undefined, { algorithms: ["none"] }],
          [given, keys.rsa[1]],
        ]),
      ),
      ...calls(
        "verify by a callback",
        (given, key) => later((done) => verify(given, key, at, done)),
        strange.map((given) => [given, secret]),
      ),
      ["sign by a callback", () => later((done) => sign({ iat: issuedAt }, secret, done))],
      [
        "sign by a callback with RSA",
        () => later((done) => sign({ iat: issuedAt }, keys.rsa[0], { algorithm: "RS256" }, done)),
      ],
      [
        "sign by a callback with a small key",
        () => later((done) => sign({ iat: issuedAt }, keys.small[0], { algorithm: "RS256" }, done)),
      ],
      ["a key from a callback", () => later((done) => verify(rich(), (_header, give) => give(null, secret), at, done))],
      [
        "a failing callback for the key",
        () => later((done) => verify(rich(), (_header, give) => give(new Error("no key")), at, done)),
      ],
      ...calls(
        "decode",
        (given, option) => guarded(() => decode(given, option)),
        strange.flatMap((given) => [[given], [given, { complete: true }], [given, { json: true }]]),
      ),
      [
        "a public key taken for a secret",
        () => guarded(() => verify(sign({ iat: issuedAt }, keys.rsa[1], { algorithm: "HS256" }), keys.rsa[1], at)),
      ],
      [
        "the exports",
        () => [
          Object.keys(library).sort(),
          typeof library.decode,
          Object.getOwnPropertyDescriptor(library, "decode")?.enumerable,
        ],
      ],
    ];
  },
};

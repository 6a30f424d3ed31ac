/**
 * Companions of the corpus's own probes, for cases in which those cannot tell.
 *
 * A companion has the same form, `poc(context) → { vuln, info }`, and gets the context that the given `setup` made when the target started (its own `setup` where the corpus has none).
 * It decides whether the hole is open; the given probe, where it works, must still say that it is closed.
 */
"use strict";
const http = require("node:http");

/** The threshold that the corpus uses for slow regular expressions. */
const slowMs = 150;

function listen(server, host) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, () => resolve(server.address().port));
  });
}

/**
 * CVE-2022-0235: the Authorization header follows a redirect to another host.
 *
 * The given probe calls the probe of a CommonJS case that the corpus does not contain.
 */
async function forwardsAuthorization({ f: fetch }) {
  let asked = false;
  let authorization;
  const elsewhere = http.createServer((request, response) => {
    asked = true;
    authorization = request.headers.authorization;
    response.writeHead(200, { connection: "close" }).end("here");
  });
  const elsewherePort = await listen(elsewhere, "localhost");
  const redirecting = http.createServer((_request, response) => {
    response.writeHead(302, { connection: "close", location: `http://localhost:${elsewherePort}/` }).end();
  });
  const port = await listen(redirecting, "127.0.0.1");
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: "Basic c2VjcmV0" } });
    await response.text();
  } finally {
    redirecting.close();
    elsewhere.close();
  }
  return { vuln: asked ? authorization !== undefined : null, info: `authorization: ${authorization}` };
}

let urls = 0;

/**
 * CVE-2021-23362: a slow regular expression in the parsing of a URL.
 *
 * The package answers a URL that it has seen from its own cache, so that the given probe can tell once in a process only; here each URL is a new one.
 */
function parsesSlowly({ f: fromUrl }) {
  urls += 1;
  const url = `a:${"/".repeat(30_000 + urls)}#`;
  const startedMs = performance.now();
  fromUrl(url);
  const tookMs = performance.now() - startedMs;
  return { vuln: tookMs > slowMs, info: `${tookMs.toFixed(1)}ms` };
}

/**
 * CVE-2022-38900: a malformed escape makes the decoder throw.
 *
 * The decoder's regular expression keeps its place when it throws, so that every other call starts at the end and finds nothing; of two calls one starts at the beginning.
 */
function throwsOnMalformed({ d: decode }) {
  const thrown = [];
  for (let call = 0; call < 2; call++) {
    try {
      decode("%ea%ba%5a%ba");
    } catch (error) {
      thrown.push(error.message);
    }
  }
  return { vuln: thrown.length > 0, info: thrown.join(", ") };
}

module.exports = {
  "node-fetch-esm": { poc: forwardsAuthorization },
  "hosted-git-info": { poc: parsesSlowly },
  "decode-uri-component": { poc: throwsOnMalformed },
};

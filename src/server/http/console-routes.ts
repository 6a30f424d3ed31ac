/**
 * The web console over HTTP: `/` and its assets.
 *
 * The page is the same for everybody and holds nothing of the fleet; what it shows it asks for by the routes of the contract.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { encodingFor, type PageFile, type PageFiles } from "../console/page-files.ts";

/**
 * Scripts and styles come from this origin alone, and nothing inline runs.
 * The digest is that of the empty text: the page's style elements begin empty and are filled through the CSSOM, which the policy leaves to scripts (CSP 3 section 8.4).
 */
export const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
  "img-src 'self'",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const notBuilt =
  "The server runs; its web console is not built.\nBuild it with `npm run build:console` in the checkout (or run `npm start`, which does), and load this page again.\n";

export function registerConsole(app: FastifyInstance, files: PageFiles): void {
  app.get("/", async (request, reply) => sendIndex(files, request, reply));
  app.get<{ Params: { name: string } }>("/assets/:name", async (request, reply) => {
    const file = files.find(`assets/${request.params.name}`);
    if (file === undefined) return reply.callNotFound();
    // The name has the digest of the content in it.
    return sendFile(file, request, reply.header("cache-control", "public, max-age=31536000, immutable"));
  });
}

/** The page, under the status that the reply has. */
export function sendIndex(files: PageFiles, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const index = files.find("index.html");
  if (index === undefined) return reply.code(503).type("text/plain; charset=utf-8").send(notBuilt);
  reply.headers({ "cache-control": "no-cache", "content-security-policy": pagePolicy });
  return sendFile(index, request, reply);
}

/** Whether a person's browser asks for a page, rather than a program for an answer. */
export function wantsPage({ headers }: FastifyRequest): boolean {
  return /(^|,)\s*text\/html\b/.test(headers.accept ?? "");
}

function sendFile(file: PageFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const encoding = encodingFor(headerText(request.headers["accept-encoding"]), file);
  const tag = `"${file.digest}-${encoding}"`;
  reply.headers({ etag: tag, vary: "accept-encoding", "content-type": file.mediaType });
  const known = (request.headers["if-none-match"] ?? "").split(",").map((part) => part.trim().replace(/^W\//, ""));
  if (reply.statusCode === 200 && known.includes(tag)) return reply.code(304).send();
  if (encoding !== "identity") reply.header("content-encoding", encoding);
  return reply.send(file.bodies.get(encoding));
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(",") : value;
}

/**
 * A program of its own: `inject` carries out one injection, `guard` closes a port that opens late.
 *
 * It is started where the command itself cannot be: in another network namespace, or beyond the command's end.
 * The request comes as JSON on stdin; the result goes as JSON to stdout.
 */
import { guardPort } from "./guard.ts";
import { inject } from "./inject.ts";

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const request = JSON.parse(Buffer.concat(chunks).toString("utf8"));
if (process.argv[2] === "guard") await guardPort(request);
else process.stdout.write(JSON.stringify(await inject(request)));

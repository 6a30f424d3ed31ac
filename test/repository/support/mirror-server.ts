/** A static HTTP server on loopback over a folder, as any web server would serve a catalog. */
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { TestContext } from "node:test";

/** Serves until the test is over; answers the address, with a slash at its end. */
export async function serve(test: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** `special` answers first, and says whether it did. */
export function filesOf(
  folder: string,
  special: (name: string, ...rest: Parameters<RequestListener>) => boolean = () => false,
): RequestListener {
  return (request, response) => {
    const name = decodeURIComponent(request.url ?? "").replace(/^\//, "");
    if (special(name, request, response)) return;
    try {
      response.end(readFileSync(path.join(folder, name)));
    } catch {
      // The only thing that a static server has to say of a file that it lacks.
      response.writeHead(404).end();
    }
  };
}

/** `npm start`: set-up, the web console where it is missing or stale, then the story of the sample service by the pinned Node. */
import { join } from "node:path";
import { buildConsoleOrExit } from "./build-console.mjs";
import { checkoutRoot, endLike, runPinnedNode } from "./pinned-node.mjs";
import { setUpOrExit } from "./setup.mjs";

await setUpOrExit();
await buildConsoleOrExit();
endLike(await runPinnedNode([join(checkoutRoot, "sample", "story.ts"), ...process.argv.slice(2)]));

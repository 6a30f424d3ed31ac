/** `npm start`: set-up, then the story of the sample service by the pinned Node. */
import { join } from "node:path";
import { checkoutRoot, endLike, runPinnedNode } from "./pinned-node.mjs";
import { setUpOrExit } from "./setup.mjs";

await setUpOrExit();
endLike(await runPinnedNode([join(checkoutRoot, "sample", "story.ts"), ...process.argv.slice(2)]));

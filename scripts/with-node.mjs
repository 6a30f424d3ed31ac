/** `node scripts/with-node.mjs FILE ARGUMENTS…`: set-up, then FILE by the pinned Node. */
import { endLike, runPinnedNode } from "./pinned-node.mjs";
import { setUpOrExit } from "./setup.mjs";

if (process.argv.length < 3) {
  console.error("usage: node scripts/with-node.mjs FILE ARGUMENTS…");
  process.exit(2);
}
await setUpOrExit();
endLike(await runPinnedNode(process.argv.slice(2)));

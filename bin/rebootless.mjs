#!/usr/bin/env node
/**
 * The launcher of the command: runs src/cli/main.ts by the pinned Node, whatever Node (from version 20 on) it was started with.
 *
 * Plain JavaScript without dependencies; it must not do anything of its own but find that Node.
 */
import module from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  checkoutRoot,
  endLike,
  pinnedNodeInstalled,
  pinnedNodeVersion,
  runPinnedNode,
} from "../scripts/pinned-node.mjs";

const main = join(checkoutRoot, "src", "cli", "main.ts");

if (!pinnedNodeInstalled()) {
  console.error(`error: the dependencies are not installed; run \`npm start\` or \`npm ci\` in ${checkoutRoot}`);
  process.exit(1);
}
// `process.features.typescript` is missing or false where Node does not strip types, or was told not to.
const isPinned = process.version === pinnedNodeVersion();
if (isPinned && process.features.typescript) {
  // Halves the time to start; where the folder cannot be written, everything works as without it.
  module.enableCompileCache(join(checkoutRoot, ".cache", "compiled"));
  const { runProcess } = await import(main);
  await runProcess();
} else {
  endLike(await runPinnedNode([isPinned ? main : fileURLToPath(import.meta.url), ...process.argv.slice(2)]));
}

"use strict";
/**
 * For `NODE_OPTIONS=--require`: the agent's channel from the start of the process, with no debugging port ever.
 *
 * It serves the application's main thread only, and a failure here is at most a line on stderr: the application comes first.
 */
try {
  const { isMainThread } = require("node:worker_threads");
  const { startupSnapshot } = require("node:v8");
  // A server cannot be part of a start-up snapshot.
  if (isMainThread && !startupSnapshot.isBuildingSnapshot()) {
    const { install } = require("./channel.cjs");
    const { createMethods } = require("./agent.cjs");
    install({ createMethods, sourceId: "preload" }).start();
  }
} catch (error) {
  try {
    require("node:fs").writeSync(2, `rebootless: this process cannot be patched in memory: ${error.message}\n`);
  } catch {
    // With stderr closed there is nowhere left to say it.
  }
}

"use strict";
/**
 * Preloaded into a service with `--require`, together with --expose-gc: answers the message "memory" with what is left after a collection.
 *
 * It stands beside the service, so that the service itself needs no hook for being measured.
 */
process.on("message", (message) => {
  if (message !== "memory") return;
  // A second collection takes what only finalizers of the first let go.
  global.gc();
  setImmediate(() => {
    global.gc();
    const { heapUsed, rss } = process.memoryUsage();
    process.send({ heapUsedBytes: heapUsed, rssBytes: rss });
  });
});

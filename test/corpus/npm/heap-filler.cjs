/** Fills the heap with small live objects, as a service with large caches has them, to show how the pause grows with it. */
"use strict";

const kept = [];

/** One entry of a cache: an object, a list, a map, text, and a closure over all of it. */
function entry(number) {
  const name = `customer-${number}`;
  const orders = Array.from({ length: 8 }, (_, index) => ({
    number: number * 8 + index,
    total: index / 3,
    open: index % 2 === 0,
  }));
  const byNumber = new Map(orders.map((order) => [order.number, order]));
  return { name, orders, byNumber, find: (wanted) => byNumber.get(wanted) ?? name };
}

/** Fills until the heap holds this many megabytes (of 2^20 bytes); what was made stays alive as long as the process. */
exports.fillHeap = (megabytes) => {
  const wantedBytes = megabytes * 2 ** 20;
  while (process.memoryUsage().heapUsed < wantedBytes) {
    for (let count = 0; count < 1000; count++) kept.push(entry(kept.length));
  }
};

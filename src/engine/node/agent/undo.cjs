"use strict";
/**
 * Changes to objects of the application that can be taken back, in reverse order.
 */

/** The own properties of an object, or the content of a map or set, as they are now. */
function snapshot(value) {
  if (value instanceof Map) return { entries: [...Map.prototype.entries.call(value)] };
  if (value instanceof Set) return { entries: [...Set.prototype.values.call(value)] };
  return { descriptors: Object.getOwnPropertyDescriptors(value) };
}

function restore(value, { entries, descriptors }) {
  if (value instanceof Map) {
    Map.prototype.clear.call(value);
    for (const [key, item] of entries) Map.prototype.set.call(value, key, item);
    return;
  }
  if (value instanceof Set) {
    Set.prototype.clear.call(value);
    for (const item of entries) Set.prototype.add.call(value, item);
    return;
  }
  for (const key of Reflect.ownKeys(value)) if (!Object.hasOwn(descriptors, key)) Reflect.deleteProperty(value, key);
  for (const key of Reflect.ownKeys(descriptors)) Reflect.defineProperty(value, key, descriptors[key]);
}

class UndoLog {
  constructor() {
    this.actions = [];
    this.kept = new Set();
  }

  /** Keeps what an object holds, so that whatever is done to it later can be taken back. */
  keep(value) {
    const isObject = value !== null && (typeof value === "object" || typeof value === "function");
    if (!isObject || this.kept.has(value) || ArrayBuffer.isView(value)) return;
    this.kept.add(value);
    const before = snapshot(value);
    this.actions.push(() => restore(value, before));
  }

  /** Gives `target` the properties of `literal`; `enumerable` is for new ones, and where it is undefined all are as in `literal`. */
  define(target, literal, enumerable) {
    for (const key of Reflect.ownKeys(literal)) {
      const before = Reflect.getOwnPropertyDescriptor(target, key);
      const own = Reflect.getOwnPropertyDescriptor(literal, key);
      const wanted = {
        ...own,
        enumerable: enumerable === undefined ? own.enumerable : (before?.enumerable ?? enumerable),
        configurable: before ? before.configurable : true,
      };
      if (!Reflect.defineProperty(target, key, wanted))
        throw new TypeError(`The property ${String(key)} cannot be changed.`);
      this.actions.push(() => {
        if (before) Reflect.defineProperty(target, key, before);
        else Reflect.deleteProperty(target, key);
      });
    }
    // `super` in a method looks from the object that the method was written in.
    Reflect.setPrototypeOf(literal, Reflect.getPrototypeOf(target));
  }

  run() {
    for (const action of this.actions.reverse()) action();
    this.actions = [];
    this.kept.clear();
  }
}

module.exports = { UndoLog };

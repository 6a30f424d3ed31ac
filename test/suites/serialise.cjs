/**
 * One stable text for each value, so that what two processes did can be compared exactly.
 *
 * Everything that an application could see is in it: types, prototypes, the order of members, holes, -0, own members of functions and errors.
 * Left out is what may differ between two processes that behave alike: stacks, and the source text of functions.
 * Runs on every Node.js that is tested.
 */
"use strict";
const { createHash } = require("node:crypto");

const maxDepth = 12;
/** Longer texts keep their beginning and a digest of the whole. */
const maxLength = 1500;

/** Never throws for what packages return; a value that throws when it is looked at is told as such. */
function serialise(value) {
  const text = write(value, { depth: 0, seen: new Map() });
  if (text.length <= maxLength) return text;
  return `${text.slice(0, maxLength)}… (${text.length} characters, sha256 ${createHash("sha256").update(text).digest("hex")})`;
}

function write(value, place) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return String(value);
  const known = place.seen.get(value);
  if (known !== undefined) return `<the value ${known}>`;
  place.seen.set(value, place.seen.size);
  if (place.depth > maxDepth) return "<deeper>";
  const below = { depth: place.depth + 1, seen: place.seen };
  try {
    return writeObject(value, below);
  } catch (error) {
    return `<looking at it throws ${error}>`;
  }
}

function writeObject(value, place) {
  if (typeof value === "function")
    return `<function ${value.name || "unnamed"}/${value.length}>${members(value, place)}`;
  if (value instanceof Error) return `<${value.name}: ${value.message}>${members(value, place)}`;
  if (value instanceof Date) return `<date ${Number.isNaN(value.getTime()) ? "invalid" : value.toISOString()}>`;
  if (value instanceof RegExp) return `<${value} at ${value.lastIndex}>`;
  if (value instanceof Promise) return "<promise>";
  if (value instanceof URL) return `<url ${value.href}>`;
  if (ArrayBuffer.isView(value))
    return `<${className(value)} ${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1")}>`;
  if (value instanceof Map) {
    return `<${className(value)} ${[...value].map(([key, member]) => `${write(key, place)} => ${write(member, place)}`).join(", ")}>`;
  }
  if (value instanceof Set)
    return `<${className(value)} ${[...value].map((member) => write(member, place)).join(", ")}>`;
  if (Object(value) instanceof Number || value instanceof String || value instanceof Boolean) {
    return `<boxed ${write(value.valueOf(), place)}>`;
  }
  return `${kind(value, place)}${members(value, place) || (Array.isArray(value) ? "[]" : "{}")}`;
}

function className(value) {
  return Object.getPrototypeOf(value)?.constructor?.name ?? "without a class";
}

/** Nothing for plain objects and arrays: what is told is a prototype that one would not expect. */
function kind(value, place) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype) return "";
  if (prototype === null) return "<no prototype>";
  if (Object.hasOwn(prototype, "constructor")) return `<${className(value)}>`;
  return `<prototype ${write(prototype, place)}>`;
}

function members(value, place) {
  const written = [];
  let next = 0;
  for (const key of Reflect.ownKeys(value)) {
    const property = Object.getOwnPropertyDescriptor(value, key);
    if (property === undefined || !property.enumerable) continue;
    const text = "value" in property ? write(property.value, place) : "<accessor>";
    const inOrder = Array.isArray(value) && key === String(next);
    if (inOrder) next += 1;
    written.push(inOrder ? text : `${typeof key === "symbol" ? String(key) : JSON.stringify(key)}: ${text}`);
  }
  if (Array.isArray(value)) {
    const holes = value.length === next ? [] : [`length ${value.length}`];
    return `[${[...written, ...holes].join(", ")}]`;
  }
  return written.length === 0 ? "" : `{${written.join(", ")}}`;
}

module.exports = { serialise };

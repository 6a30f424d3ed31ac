/**
 * Checks: a name and something to do, whose outcome is a text.
 *
 * A check passes no judgement.
 * The same checks are carried out in several processes, and only the comparison of their outcomes says anything.
 */
"use strict";
const { serialise } = require("./serialise.cjs");

/** For one check; nothing here needs more than a loopback round trip. */
const answerTimeoutMs = 20_000;
/** In time of the processor, so that a busy machine does not matter. */
const quickMs = 400;

/** One check for each list of arguments; an argument that is no array stands for a list of one. */
function calls(name, work, argumentLists) {
  return argumentLists.map((given) => {
    const list = Array.isArray(given) ? given : [given];
    return [`${name}(${list.map(short).join(", ")})`, () => work(...list)];
  });
}

/** Calls with one argument each, which may be an array. */
function each(name, work, values) {
  return values.map((value) => [`${name}(${short(value)})`, () => work(value)]);
}

/** Every function with every list of arguments. */
function grid(functions, argumentLists) {
  return Object.entries(functions).flatMap(([name, work]) => calls(name, work, argumentLists));
}

/** Says only whether the work is done quickly: half a second of the processor is far from both what is expected and what is slow. */
function quick(name, work) {
  return [
    `${name} is quick`,
    () => {
      const before = process.cpuUsage();
      try {
        work();
      } catch (error) {
        // Refusing hostile input is as good an end as any, and the error's text is a part of the outcome.
        return `${tookTooLong(before)}, throws ${error.name}`;
      }
      return tookTooLong(before);
    },
  ];
}

function tookTooLong(before) {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 > quickMs ? "slow" : "in time";
}

function short(value) {
  const text = serialise(value);
  return text.length > 80 ? `${text.slice(0, 60)}…${text.length}` : text;
}

/**
 * Carries out the checks one after the other.
 * Answers `{ name, outcome }` for each; equal names are numbered.
 */
async function carryOut(checks) {
  const names = new Map();
  const results = [];
  for (const [given, work] of checks) {
    const count = (names.get(given) ?? 0) + 1;
    names.set(given, count);
    const outcome = await outcomeOf(work);
    results.push({ name: count === 1 ? given : `${given} #${count}`, outcome: outcome + pollution() });
  }
  return results;
}

async function outcomeOf(work) {
  let timer;
  try {
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve("no answer"), answerTimeoutMs);
    });
    return await Promise.race([Promise.resolve(work()).then((value) => `gives ${serialise(value)}`), late]);
  } catch (error) {
    return `throws ${serialise(error)}`;
  } finally {
    clearTimeout(timer);
  }
}

const watched = { Object: Object.prototype, Array: Array.prototype, Function: Function.prototype };
const expected = Object.fromEntries(
  Object.entries(watched).map(([name, one]) => [name, new Set(Reflect.ownKeys(one))]),
);

/** What a check left on the prototypes that everything shares; it is taken away, so that the next check starts clean. */
function pollution() {
  const found = [];
  for (const [name, prototype] of Object.entries(watched)) {
    for (const key of Reflect.ownKeys(prototype)) {
      if (expected[name].has(key)) continue;
      found.push(`${name}.prototype.${String(key)}`);
      delete prototype[key];
    }
  }
  return found.length === 0 ? "" : `, and leaves ${found.join(", ")}`;
}

module.exports = { calls, each, grid, quick, carryOut };

/**
 * Properties over random inputs, with fast-check: the same inputs in every run, so that what is judged is the change and not the luck.
 * `REBOOTLESS_SEED=N npm test` takes other inputs, and `REBOOTLESS_SEED=random` new ones each time; a failure names the seed that it was found with.
 */
import fc from "fast-check";

const asked = process.env["REBOOTLESS_SEED"] ?? "20261123";
if (asked !== "random") fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number.parseInt(asked, 10) });

export { fc };

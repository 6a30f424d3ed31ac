/** An agent that is killed with -9 before and after each effect and each report ends right once it is started again. */
import { test } from "node:test";
import { confine, isConfined } from "./support/confined.ts";
import { around, killAtEach } from "./support/killing.ts";

const there = [
  ...["begin", "fetch", "plan", "apply", "verify"].map((effect) => `effect ${effect}`).flatMap(around),
  ...around("process apply"),
  ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"]
    .map((event) => `report ${event}`)
    .flatMap(around),
];

const back = ["effect revert", "report revert-done"].flatMap(around);

confine("an agent that is killed at each effect and report", import.meta.filename);

if (isConfined) {
  test("on the way in and on the way back", { timeout: 530_000 }, async (t) => await killAtEach(t, there, back));
}

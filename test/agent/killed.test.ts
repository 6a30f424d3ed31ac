/** An agent that is killed with -9 before and after each effect and each report ends right once it is started again. */
import { test } from "node:test";
import { confine, isConfined } from "./support/confined.ts";
import { effectPoints, killAtEach } from "./support/killing.ts";

confine("an agent that is killed at each effect and report", import.meta.filename);

if (isConfined) {
  test("on the way in and on the way back", { timeout: 530_000 }, async (t) => await killAtEach(t, effectPoints));
}

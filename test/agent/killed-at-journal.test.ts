/** An agent that is killed with -9 before and after each entry of its journal ends right once it is started again. */
import { test } from "node:test";
import { confine, isConfined } from "./support/confined.ts";
import { journalPoints, killAtEach } from "./support/killing.ts";

confine("an agent that is killed at each entry of its journal", import.meta.filename);

if (isConfined) {
  test("on the way in and on the way back", { timeout: 530_000 }, async (t) => await killAtEach(t, journalPoints));
}

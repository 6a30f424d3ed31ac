/** An agent that is killed with -9 before and after each entry of its journal of a native hotpatch ends right once it is started again. */
import { test } from "node:test";
import { confine, isConfined } from "./support/confined.ts";
import { journalPoints, killAtEach } from "./support/killing.ts";
import { makeNative, NativeService } from "./support/native-service.ts";

confine("an agent that is killed at each entry of its journal of a native hotpatch", import.meta.filename, {
  make: makeNative,
});

if (isConfined) {
  test("on the way in and on the way back", { timeout: 530_000 }, async (t) => {
    await killAtEach(t, journalPoints, NativeService.start);
  });
}

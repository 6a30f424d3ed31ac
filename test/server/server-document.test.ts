import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { apiLimits } from "../../src/api/api-limits.ts";
import { errorCodes, RebootlessError } from "../../src/base/errors.ts";
import { type RefusalCode, RefusalError, refusalCodes } from "../../src/base/refusal.ts";
import { problemFor } from "../../src/server/http/problems.ts";

const document = readFileSync(new URL("../../docs/server.md", import.meta.url), "utf8");

test("the document prints the limits that are kept", () => {
  const rows = [...document.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, value]) => [name, Number(value)]);
  assert.deepEqual(Object.fromEntries(rows), { ...apiLimits });
});

test("the document lists every way in which the server declines, with its status", () => {
  const listed = [...document.matchAll(/^\| `([\w-]+\/[\w-]+)` \| (\d+) \|/gm)].map(([, code = "", status]) => ({
    code,
    status: Number(status),
  }));
  const refusals = refusalCodes.filter((code) =>
    /^(access|enrolment|facts|report|action|approval|group|hold|policy|rollout|server)\//.test(code),
  );
  const errors = Object.keys(errorCodes).filter((code) => /^request\/|^server\/(storage|database-away)$/.test(code));
  assert.deepEqual(listed.map(({ code }) => code).toSorted(), [...refusals, ...errors].toSorted());
  for (const { code, status } of listed) {
    const isRefusal = refusals.some((refusal) => refusal === code);
    const thrown = isRefusal
      ? new RefusalError({ code: code as RefusalCode, message: "x" })
      : new RebootlessError(code as keyof typeof errorCodes, "x");
    assert.equal(problemFor(thrown).status, status, code);
  }
});

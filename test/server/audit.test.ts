/** The record of what happened: whoever changes it after the fact is seen, by an administrator and by an auditor with a file alone. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ChainCheck, linkOf } from "../../src/api/event-chain.ts";
import type { Event } from "../../src/api/schemas/events.ts";
import { launcher, runProgram } from "../cli/run-program.ts";
import { openServer } from "./support/running-server.ts";

function events(count: number): Event[] {
  const made: Event[] = [];
  for (let sequence = 1; sequence <= count; sequence++) {
    const plain = {
      ...{ sequence, at: new Date(sequence).toISOString(), kind: "group-made" as const },
      ...{ subject: `group:g${sequence}`, data: { title: `Group ${sequence}` } },
    };
    made.push({ ...plain, link: linkOf(made.at(-1)?.link ?? "", plain) });
  }
  return made;
}

function checked(list: readonly Event[], anchor?: { sequence: number; link: string }): ChainCheck {
  const check = new ChainCheck(anchor);
  for (const event of list) check.take(event);
  check.end();
  return check;
}

test("any one change to any event is seen, at that event", () => {
  const whole = events(12);
  assert.equal(checked(whole).fault, undefined);
  for (const [index, event] of whole.entries()) {
    const changes: Partial<Event>[] = [
      { at: new Date(99).toISOString() },
      { kind: "group-removed" },
      { subject: "group:other" },
      { data: { title: "other" } },
      { data: {} },
      { link: linkOf("x", event) },
      { link: null },
    ];
    for (const change of changes) {
      const tampered = whole.with(index, { ...event, ...change });
      assert.equal(checked(tampered).fault?.sequence, event.sequence + (change.link === null && index === 0 ? 1 : 0));
    }
    if (index > 0 && index < whole.length - 1)
      assert.equal(checked(whole.toSpliced(index, 1)).fault?.sequence, event.sequence, "left out");
  }
});

test("a chain that was written anew, and one that was cut off, are seen by an anchor", () => {
  const whole = events(8);
  const [first, seventh] = [whole[0] as Event, whole[6] as Event];
  const anchor = { sequence: seventh.sequence, link: seventh.link as string };
  assert.equal(checked(whole, anchor).hasAnchor, true);
  const forged = { ...first, data: { title: "forged" } };
  let link = "";
  const anew = [forged, ...whole.slice(1)].map((event) => {
    link = linkOf(link, event);
    return { ...event, link };
  });
  assert.equal(checked(anew).fault, undefined, "nothing but an anchor shows it");
  assert.match(checked(anew, anchor).fault?.problem ?? "", /written anew/);
  assert.match(checked(whole.slice(0, 5), anchor).fault?.problem ?? "", /taken off the end/);
});

test("what was dropped for its age is told by an event, and a beginning that nobody tells of is no beginning", () => {
  const whole = events(6);
  const last = whole.at(-1) as Event;
  const dropped = (through: number, link: string | null): Event => {
    const plain = { ...last, sequence: 7, kind: "events-dropped" as const, data: { through, link } };
    return { ...plain, link: linkOf(last.link as string, plain) };
  };
  const kept = whole.slice(3);
  const told = (whole[2] as Event).link;
  assert.equal(checked([...kept, dropped(3, told)]).fault, undefined);
  assert.equal(checked([...kept, dropped(3, "other")]).fault?.sequence, 4);
  assert.equal(checked([...kept, dropped(2, told)]).fault?.sequence, 4);
  assert.equal(checked(kept).fault?.sequence, 4);
});

test("the commands prove a server's events and an auditor's file, and say where a database was changed", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  // A device may send what has no canonical form.
  for (const title of ["Web", "half \ud83d of a pair", "\u202eweb"])
    assert.equal((await admin("/v1/groups", { method: "POST", body: { id: `g${title.length}`, title } })).status, 201);
  const state = path.join(server.folder, "state");
  const file = path.join(server.folder, "events.jsonl");
  const audit = async (...words: string[]) => {
    const { code, out } = await runProgram([launcher, "audit", ...words, "--json"]);
    return { code, data: JSON.parse(out) };
  };
  const first = await audit("verify", "--state", state);
  assert.deepEqual([first.code, first.data.holds, first.data.unlinked], [0, true, 0]);
  assert.equal((await audit("export", "--state", state, "-o", file)).data.events, first.data.last);
  const anchor = `${first.data.last}:${first.data.link}`;
  assert.equal((await audit("verify", "--file", file, "--anchor", anchor)).data.holds, true);
  const lines = readFileSync(file, "utf8").split("\n");
  writeFileSync(file, [...lines.slice(0, 2), ...lines.slice(3)].join("\n"));
  const cut = await audit("verify", "--file", file);
  assert.deepEqual([cut.code, cut.data.fault.sequence], [1, 3]);
  writeFileSync(file, "no event\n");
  assert.equal((await audit("verify", "--file", file)).data.error.code, "input/json-invalid");

  const { database } = server.running.context;
  await database.updateTable("events").set({ data_json: '{"title":"forged"}' }).where("sequence", "=", 4).execute();
  const forged = await audit("verify", "--state", state);
  assert.deepEqual([forged.code, forged.data.fault.sequence], [1, 4]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { respValues } from "./resp.ts";

test("a client reads as many replies as it sent requests: one that was smuggled in is taken for the next", () => {
  const requests = "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLIST\r\n$5\r\na\r\n+b\r\n*1\r\n$4\r\nPING\r\n";
  assert.equal(respValues(requests).length, 2);
  assert.deepEqual(respValues("-ERR Unknown argument a\r\n+b\r\n+PONG\r\n"), [
    "-ERR Unknown argument a",
    "+b",
    "+PONG",
  ]);
  assert.deepEqual(respValues("-ERR Unknown argument a  +b\r\n+PONG\r\n")[1], "+PONG");
});

test("what is not whole yet is no reply", () => {
  assert.deepEqual(respValues("+OK\r\n$4\r\nPI"), ["+OK"]);
  assert.deepEqual(respValues("*2\r\n:1\r\n"), []);
  assert.deepEqual(respValues("$-1\r\n*-1\r\n*0\r\n"), ["$-1", "*-1", "*0"]);
});

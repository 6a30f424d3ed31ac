/** The texts of /proc: well-formed rows, rows that a process forged, and anything else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseEnvironment,
  parseNulTerminated,
  parseStat,
  parseStatus,
  parseTcpListeners,
  parseUnixListeners,
} from "../../src/process/proc-format.ts";
import { fc } from "../support/properties.ts";

const statTail =
  "S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 11 0 987654321 1 1 18446744073709551615 4198400 4500000 140736000";

test("a name may hold spaces, parentheses and line breaks", () => {
  for (const comm of ["node", ") R 1 (", "a b)", "((", "x\ny"]) {
    const stat = parseStat(`42 (${comm}) ${statTail}\n`);
    const times = { threads: 11, startTicks: 987654321n, startStack: 140736000, addressSpace: "4198400:140736000" };
    assert.deepEqual(stat, { pid: 42, comm, state: "S", parentPid: 7, ...times });
  }
});

test("a line that is cut or odd is no stat", () => {
  for (const text of ["", "42", "42 (node", "42 (node) S", "x (node) S 1", `42 (node) ${statTail.slice(0, 30)}`]) {
    assert.equal(parseStat(text), undefined);
  }
});

test("status gives ids, namespaces and signals", () => {
  const text =
    "Name:\tnode\nPid:\t42\nTracerPid:\t9\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t42\t7\t1\nSigIgn:\t0000000000001000\nSigCgt:\t0000000100004602\n";
  assert.deepEqual(parseStatus(text), {
    uid: { real: 1, effective: 2 },
    gid: { real: 5, effective: 6 },
    namespacePids: [42, 7, 1],
    tracerPid: 9,
    signalsCaught: 0x100004602n,
    signalsIgnored: 0x1000n,
  });
  assert.equal(parseStatus("Name:\tnode\n"), undefined);
});

test("command lines and environments are split at NUL", () => {
  assert.deepEqual(parseNulTerminated("node\0\0a b\0"), ["node", "", "a b"]);
  assert.deepEqual(parseNulTerminated(""), []);
  assert.deepEqual(
    [...parseEnvironment("A=1\0B==2\0odd\0A=3\0")],
    [
      ["A", "1"],
      ["B", "=2"],
    ],
  );
});

const tcpRows: readonly [string, string, number][] = [
  ["0100007F:240D", "127.0.0.1", 9229],
  ["00000000:0050", "0.0.0.0", 80],
  ["00000000000000000000000000000000:0016", "::", 22],
  ["00000000000000000000000001000000:240D", "::1", 9229],
  ["0000000000000000FFFF00000100007F:240D", "127.0.0.1", 9229],
  ["B80D0120000000000000000001000000:0001", "2001:db8::1", 1],
];
for (const [address, host, port] of tcpRows) {
  test(`the address ${address} is ${host} port ${port}`, () => {
    const zeros = address.length > 13 ? "0".repeat(32) : "0".repeat(8);
    const row = (state: string) =>
      `   0: ${address} ${zeros}:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 12345 1 00 100 0 0 10 0\n`;
    assert.deepEqual(parseTcpListeners(`  sl  local_address …\n${row("0A")}${row("01")}`), [
      { host, port, inode: "12345" },
    ]);
  });
}

test("only unix sockets that listen and have a path are listed", () => {
  const rows = [
    "Num       RefCount Protocol Flags    Type St Inode Path",
    "0000000000000000: 00000002 00000000 00010000 0001 01 21 /tmp/a b.sock",
    "0000000000000000: 00000003 00000000 00000000 0001 03 22 /tmp/connected.sock",
    "0000000000000000: 00000002 00000000 00010000 0001 01 23",
    "0000000000000000: 00000002 00000000 00010000 0005 01    24 @abstract",
  ];
  assert.deepEqual(parseUnixListeners(rows.join("\n")), [
    { inode: "21", path: "/tmp/a b.sock" },
    { inode: "24", path: "@abstract" },
  ]);
});

test("no text makes a parser throw", () => {
  const parsers = [parseStat, parseStatus, parseNulTerminated, parseEnvironment, parseTcpListeners, parseUnixListeners];
  const piece = fc.constantFrom(
    "0A",
    " ",
    ":",
    "\n",
    "(",
    ")",
    "\0",
    "Uid",
    "SigCgt",
    "\t",
    "FFFFFFFF",
    "12",
    "/x",
    "00010000",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join("")),
  );
  fc.assert(fc.property(text, (input) => parsers.forEach((parse) => void parse(input))));
});

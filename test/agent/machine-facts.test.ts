/** What the agent tells of the machine: of a made-up one, file by file, and of the one that runs the test. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { containerOf } from "../../src/agent/container.ts";
import { factsOf } from "../../src/agent/facts.ts";
import { MachineFacts } from "../../src/agent/machine-facts.ts";
import { type FactType, factRows, singleFacts } from "../../src/api/fact-catalog.ts";
import { Facts, type FactValue } from "../../src/api/schemas/devices.ts";
import { checkSchema } from "../../src/base/schema-check.ts";

function machine(t: TestContext, files: Readonly<Record<string, string | Buffer>>) {
  const root = mkdtempSync(path.join(tmpdir(), "rebootless-machine-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const write = (name: string, content: string | Buffer) => {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  };
  for (const [name, content] of Object.entries(files)) write(name, content);
  let nowMs = 0;
  const facts = new MachineFacts(root, () => nowMs);
  const later = () => {
    nowMs += 60_000;
    return facts.read();
  };
  return { write, facts, later };
}

function typeOf(value: FactValue): FactType {
  if (typeof value === "string") return "text";
  if (typeof value === "number") return "whole";
  if (typeof value === "boolean") return "flag";
  return Array.isArray(value) ? "list" : "map";
}

const efi = (value: number) => Buffer.from([6, 0, 0, 0, value]);
const guid = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

const server = {
  "etc/os-release":
    'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n',
  "etc/debian_version": "12.11\n",
  "proc/stat": "cpu 1 2\nbtime 1750000000\n",
  "proc/cpuinfo": "processor\t: 0\nmodel name\t: Made Up 9000\nflags\t\t: fpu hypervisor\n\nprocessor\t: 1\n",
  "proc/meminfo": "MemTotal:       8000000 kB\nMemFree: 1 kB\n",
  "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
  "sys/kernel/livepatch/fix_1/enabled": "1\n",
  "sys/devices/system/cpu/vulnerabilities/meltdown": "Mitigation: PTI\n",
  "sys/devices/system/cpu/vulnerabilities/mds": "Vulnerable: no microcode\n",
  "sys/class/tpm/tpm0/tpm_version_major": "2\n",
  [`sys/firmware/efi/efivars/SecureBoot-${guid}`]: efi(1),
  [`sys/firmware/efi/efivars/SetupMode-${guid}`]: efi(0),
  "sys/class/dmi/id/sys_vendor": "Works\n",
  "sys/class/dmi/id/product_name": "Server 1\n",
  "sys/class/dmi/id/bios_version": "1.2.3\n",
  "run/reboot-required": "*** System restart required ***\n",
  "run/reboot-required.pkgs": "linux-base\nlibc6\nlinux-base\n",
  "var/lib/dpkg/status": [
    "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.17-1~deb12u2\nDescription: x\n y",
    "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1",
    "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9",
  ].join("\n\n"),
};

test("a server with everything", (t) => {
  const facts = machine(t, server).facts.read();
  const expected = {
    "os.id": "debian",
    "os.version": "12",
    "os.codename": "bookworm",
    "os.build": "12.11",
    "kernel.lockdown": "integrity",
    "kernel.livepatches": ["fix_1"],
    "kernel.bootedAt": "2025-06-15T15:06:40.000Z",
    "restart.required": true,
    "restart.packages": ["libc6", "linux-base"],
    "cpu.model": "Made Up 9000",
    "cpu.count": 2,
    "cpu.vulnerabilities": { mds: "Vulnerable: no microcode", meltdown: "Mitigation: PTI" },
    "memory.bytes": 8_192_000_000,
    "hardware.virtual": true,
    "tpm.version": "2.0",
    "firmware.type": "uefi",
    "firmware.secureBoot": true,
    "firmware.version": "1.2.3",
    "hardware.vendor": "Works",
    "hardware.model": "Server 1",
    packages: { libc6: "2.36-9", openssl: "3.0.17-1~deb12u2" },
  };
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(facts[name], value, name);
});

test("setup mode is no secure boot, and a machine without EFI and TPM has neither", (t) => {
  const setup = machine(t, { ...server, [`sys/firmware/efi/efivars/SetupMode-${guid}`]: efi(1) });
  assert.equal(setup.facts.read()["firmware.secureBoot"], false);
  const bare = machine(t, { "etc/os-release": "ID=alpine\n" }).facts.read();
  assert.deepEqual(
    [bare["firmware.secureBoot"], bare["firmware.type"], bare["tpm.version"], bare["restart.required"]],
    [false, "other", "none", false],
  );
  for (const name of ["packages", "kernel.lockdown", "memory.bytes", "cpu.vulnerabilities"]) {
    assert.equal(bare[name], undefined, `${name} is not known`);
  }
});

test("what changed is told within a minute, and packages when dpkg's status file changed", (t) => {
  const { write, facts, later } = machine(t, server);
  const before = facts.read();
  assert.equal(facts.read(), before, "nothing is read again at once");
  const status = server["var/lib/dpkg/status"].replace("3.0.17-1~deb12u2", "3.0.18-1~deb12u1");
  write("var/lib/dpkg/status", status);
  write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
  write("proc/stat", "btime 1750000001\n");
  const after = later();
  assert.deepEqual(after.packages, { libc6: "2.36-9", openssl: "3.0.18-1~deb12u1" });
  assert.equal(after["kernel.lockdown"], "confidentiality");
  assert.equal(after["kernel.bootedAt"], before["kernel.bootedAt"], "a clock that was set right is no restart");
  assert.equal(later().packages, after.packages, "a file that is as it was is not read again");
});

test("this machine's facts are in the catalog, with the types that it says", () => {
  const told = {
    pid: 7,
    command: "x",
    packages: [],
    hotpatches: [{ id: "one" }],
    binaries: [{ buildId: "aa", path: "/usr/bin/x", owner: { name: "x", version: "1" } }],
    program: "/usr/bin/x",
    outdated: ["/usr/lib/y\n.so"],
    container: { id: "0123456789ab", runtime: "docker" },
    startedAt: "2026-01-01T00:00:00.000Z",
  };
  const facts = factsOf([told], {
    version: "1",
    hasBackupHook: false,
    targets: new Set(["build-id:aa"]),
    binaries: told.binaries,
    programs: [{ path: "/usr/bin/x\n\u0001", buildId: "aa" }],
    machine: new MachineFacts().read(),
  });
  checkSchema(Facts, facts, ({ field, problem }) => assert.fail(`${field} ${problem}`));
  for (const [name, value] of Object.entries(facts)) {
    const general = name.replace(/^process\.\d+\./, "process.PID.").replace(/^binary\..*/, "binary.BUILDID");
    const row = factRows.find((known) => known.name === general);
    assert.equal(row?.type, typeOf(value), name);
  }
  assert.equal(facts["os.id"], /^ID=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1]?.replaceAll('"', ""));
  for (const name of ["host.name", "kernel.release", "cpu.count", "memory.bytes", "restart.required", "tpm.version"]) {
    assert.ok(singleFacts.has(name) && facts[name] !== undefined, name);
  }
});

test("an idle machine is read for less than a thousandth of a core", () => {
  let nowMs = 0;
  const facts = new MachineFacts("/", () => nowMs);
  facts.read();
  const before = process.cpuUsage();
  const minutes = 20;
  for (let minute = 0; minute < minutes; minute++) {
    nowMs += 60_000;
    facts.read();
  }
  const { user, system } = process.cpuUsage(before);
  const share = (user + system) / (minutes * 60_000_000);
  assert.ok(share < 0.001, `${(share * 100).toFixed(4)} % of a core`);
});

test("containers are known by the control groups that runtimes make", () => {
  const id = "0123456789abcdef".repeat(4);
  const rows: readonly (readonly [cgroup: string, runtime: string | undefined])[] = [
    [`0::/system.slice/docker-${id}.scope\n`, "docker"],
    [`12:pids:/docker/${id}\n0::/\n`, "docker"],
    [`0::/machine.slice/libpod-${id}.scope/container\n`, "podman"],
    [`0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope\n`, "containerd"],
    [`0::/kubepods.slice/crio-${id}.scope\n`, "cri-o"],
    [`4:cpu:/kubepods/besteffort/pod1/${id}\n`, "kubernetes"],
    ["0::/lxc.payload.web/init.scope\n", "lxc"],
    ["0::/user.slice/user-0.slice\n", undefined],
    [`0::/docker-${id.slice(1)}.scope\n`, undefined],
  ];
  for (const [cgroup, runtime] of rows) assert.equal(containerOf(cgroup).container?.runtime, runtime, cgroup);
  assert.equal(containerOf(`0::/docker/${id}\n`).container?.id, "0123456789ab");
});

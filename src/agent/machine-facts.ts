/**
 * The facts of the machine itself: small files of /etc, /proc and /sys, and dpkg's status file where it changed.
 *
 * Each is read in bounds; one that is absent or not ours to read is no fact, since nobody knows then.
 * `root` is the folder that stands for `/`, for tests.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { hostname, machine, release, version } from "node:os";
import path from "node:path";
import { apiLimits } from "../api/api-limits.ts";
import type { Facts } from "../api/schemas/devices.ts";
import { dpkgPackages } from "../engine/linux/dpkg-status.ts";
import { list, map, text } from "./fact-values.ts";

const smallBytes = 64 * 1024;
/** /proc/cpuinfo of a machine with some hundred processors. */
const cpuBytes = 1024 * 1024;
const statusBytes = 64 * 1024 * 1024;
/** Nothing here changes from one second to the next. */
const againMs = 60_000;

export class MachineFacts {
  readonly #root: string;
  readonly #nowMs: () => number;
  #facts: { facts: Facts; atMs: number } | undefined;
  #packages: { changed: string; facts: Facts } | undefined;
  #boot: Facts | undefined;

  /** `nowMs` counts from anywhere. */
  constructor(root = "/", nowMs: () => number = () => performance.now()) {
    this.#root = root;
    this.#nowMs = nowMs;
  }

  /** Read again once a minute. */
  read(): Facts {
    const now = this.#nowMs();
    if (this.#facts === undefined || now - this.#facts.atMs >= againMs) {
      // Once: the kernel counts it anew from the clock, which moves while the start of the machine does not.
      this.#boot ??= bootFacts(this.#root);
      this.#facts = { facts: { ...smallFacts(this.#root), ...this.#boot, ...this.#installed() }, atMs: now };
    }
    return this.#facts.facts;
  }

  /** dpkg puts a new status file in the place of the old one whenever a package comes or goes. */
  #installed(): Facts {
    const file = path.join(this.#root, "var/lib/dpkg/status");
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined) return {};
    const changed = `${found.ino} ${found.size} ${found.mtimeMs}`;
    if (this.#packages?.changed !== changed) {
      this.#packages = { changed, facts: packagesIn(readText(file, statusBytes) ?? "") };
    }
    return this.#packages.facts;
  }
}

/** A package that is there for two architectures is told once, since both have one version (Multi-Arch: same). */
function packagesIn(status: string): Facts {
  const entries = [...dpkgPackages(status)]
    .filter(({ installed }) => installed)
    .map(({ name, version: is }) => [name, is] as const);
  return entries.length === 0 ? {} : { packages: map(entries.slice(0, apiLimits.factEntries)) };
}

function smallFacts(root: string): Facts {
  const read = (file: string, maxBytes = smallBytes) => readText(path.join(root, file), maxBytes);
  return {
    "host.name": text(hostname()),
    "host.timeZone": text(Intl.DateTimeFormat().resolvedOptions().timeZone),
    ...osFacts(read),
    "kernel.release": text(release()),
    "kernel.version": text(version()),
    ...kernelFacts(root, read),
    "cpu.architecture": text(machine()),
    ...cpuFacts(root, read),
    ...firmwareFacts(root, read),
  };
}

type Read = (file: string, maxBytes?: number) => string | undefined;

/** The fact under this name, where there is a value. */
function told(name: string, value: string | undefined): Facts {
  return value === undefined || value.trim() === "" ? {} : { [name]: text(value.trim()) };
}

/** os-release(5): the file of /etc, or that of /usr/lib. */
function osFacts(read: Read): Facts {
  const facts = parseOsRelease(read("etc/os-release") ?? read("usr/lib/os-release") ?? "");
  const debian = facts["os.id"] === "debian" ? told("os.build", read("etc/debian_version")) : {};
  return { ...debian, ...facts };
}

const osNames: Readonly<Record<string, string>> = {
  ID: "os.id",
  VERSION_ID: "os.version",
  PRETTY_NAME: "os.name",
  VERSION_CODENAME: "os.codename",
  VARIANT_ID: "os.edition",
  BUILD_ID: "os.build",
};

export function parseOsRelease(source: string): Facts {
  const facts: Facts = {};
  for (const line of source.slice(0, smallBytes).split("\n")) {
    const [, name = "", value = ""] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
    // Quoted as a shell would read it.
    const plain = value.replace(/^(["'])(.*)\1$/, "$2").replaceAll(/\\(.)/g, "$1");
    if (plain === "") continue;
    if (name === "ID_LIKE") facts["os.like"] = list(plain.split(/\s+/));
    const fact = osNames[name];
    if (fact !== undefined) facts[fact] = text(plain);
  }
  return facts;
}

function kernelFacts(root: string, read: Read): Facts {
  // The state that holds stands in brackets: `none [integrity] confidentiality`.
  const lockdown = /\[(\w+)\]/.exec(read("sys/kernel/security/lockdown") ?? "")?.[1];
  const livepatches = namesIn(path.join(root, "sys/kernel/livepatch"));
  const isRequired = read("run/reboot-required") !== undefined;
  const packages = (read("run/reboot-required.pkgs") ?? "").split("\n").filter((name) => name !== "");
  return {
    ...told("kernel.lockdown", lockdown),
    ...(livepatches === undefined ? {} : { "kernel.livepatches": list(livepatches) }),
    "restart.required": isRequired,
    ...(isRequired && packages.length > 0 ? { "restart.packages": list([...new Set(packages)].toSorted()) } : {}),
  };
}

function bootFacts(root: string): Facts {
  const seconds = /^btime (\d{1,11})$/m.exec(readText(path.join(root, "proc/stat"), cpuBytes) ?? "")?.[1];
  return seconds === undefined ? {} : { "kernel.bootedAt": new Date(Number(seconds) * 1000).toISOString() };
}

function cpuFacts(root: string, read: Read): Facts {
  const cpus = read("proc/cpuinfo", cpuBytes) ?? "";
  const folder = "sys/devices/system/cpu/vulnerabilities";
  const holes = (namesIn(path.join(root, folder)) ?? []).flatMap((name) => {
    const state = read(`${folder}/${name}`)?.trim();
    return state === undefined ? [] : [[name, state] as const];
  });
  const kibibytes = /^MemTotal: +(\d{1,15}) kB$/m.exec(read("proc/meminfo") ?? "")?.[1];
  const count = [...cpus.matchAll(/^processor\s*:/gm)].length;
  return {
    ...told("cpu.model", /^model name\s*: (.+)$/m.exec(cpus)?.[1]),
    ...(count === 0 ? {} : { "cpu.count": count }),
    ...(holes.length === 0 ? {} : { "cpu.vulnerabilities": map(holes) }),
    ...(kibibytes === undefined ? {} : { "memory.bytes": Number(kibibytes) * 1024 }),
    ...(cpus === "" ? {} : { "hardware.virtual": /^flags\s*:.*\bhypervisor\b/m.test(cpus) }),
  };
}

/** GUID of the variables that the UEFI specification defines (EFI_GLOBAL_VARIABLE). */
const efiGlobal = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

function firmwareFacts(root: string, read: Read): Facts {
  const isEfi = statSync(path.join(root, "sys/firmware/efi"), { throwIfNoEntry: false }) !== undefined;
  // Four bytes of attributes come before the value (efivarfs), which is one byte here.
  const variable = (name: string) =>
    readBytes(path.join(root, `sys/firmware/efi/efivars/${name}-${efiGlobal}`), 5)?.[4];
  const [secure, setup] = [variable("SecureBoot"), variable("SetupMode")];
  const tpm = read("sys/class/tpm/tpm0/tpm_version_major")?.trim();
  const isThere = statSync(path.join(root, "sys/class/tpm/tpm0"), { throwIfNoEntry: false }) !== undefined;
  const dmi = (name: string) => read(`sys/class/dmi/id/${name}`);
  return {
    // A kernel that does not say which version knows TPM 1.2 alone.
    "tpm.version": tpm === "2" ? "2.0" : isThere ? "1.2" : "none",
    "firmware.type": isEfi ? "uefi" : "other",
    ...(isEfi && secure === undefined ? {} : { "firmware.secureBoot": secure === 1 && setup !== 1 }),
    ...told("firmware.version", dmi("bios_version")),
    ...told("hardware.vendor", dmi("sys_vendor")),
    ...told("hardware.model", dmi("product_name")),
  };
}

function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    // Absent, or not ours to read: not known.
    return undefined;
  }
}

function readText(file: string, maxBytes: number): string | undefined {
  return readBytes(file, maxBytes)?.toString("utf8");
}

function readBytes(file: string, maxBytes: number): Buffer | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) return undefined;
    // Files of /proc and /sys say that they are empty, or a page long.
    const bytes = Buffer.alloc(Math.min(maxBytes, Math.max(fstatSync(descriptor).size, smallBytes)));
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    return bytes.subarray(0, length);
  } catch {
    // Absent, or not ours to read: not known.
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * The catalog of facts: what a device may tell of itself, as data.
 *
 * The agent collects by it, expressions over devices are checked against it (src/cel), and docs/facts.md is printed from it.
 * A name with a word in capitals is a family: many facts that differ in that part.
 */

/** `text` is a string, `whole` a whole number, `flag` true or false, `list` texts in order, `map` texts by name. */
export const factTypes = ["text", "whole", "flag", "list", "map"] as const;
export type FactType = (typeof factTypes)[number];

export interface FactRow {
  readonly name: string;
  readonly type: FactType;
  readonly unit?: string;
  /** What it means, as a clause. */
  readonly meaning: string;
  /** Where the agent has it from. */
  readonly source: string;
}

const machine: readonly FactRow[] = [
  { name: "host.name", type: "text", meaning: "the name that the machine has", source: "uname(2)" },
  {
    name: "host.timeZone",
    type: "text",
    meaning: "the zone of its clock, by its name in the IANA database",
    source: "the C library's settings",
  },
  { name: "os.id", type: "text", meaning: "the operating system", source: "os-release(5), ID" },
  { name: "os.name", type: "text", meaning: "the same for people", source: "os-release(5), PRETTY_NAME" },
  { name: "os.version", type: "text", meaning: "its version", source: "os-release(5), VERSION_ID" },
  { name: "os.codename", type: "text", meaning: "the name of the version", source: "os-release(5), VERSION_CODENAME" },
  { name: "os.edition", type: "text", meaning: "the edition", source: "os-release(5), VARIANT_ID" },
  {
    name: "os.build",
    type: "text",
    meaning: "the build of an image, or the point release of Debian",
    source: "os-release(5), BUILD_ID; else /etc/debian_version",
  },
  { name: "os.like", type: "list", meaning: "systems that it is made from", source: "os-release(5), ID_LIKE" },
];

const kernel: readonly FactRow[] = [
  { name: "kernel.release", type: "text", meaning: "the release of the kernel that runs", source: "uname(2)" },
  { name: "kernel.version", type: "text", meaning: "how it was built", source: "uname(2)" },
  {
    name: "kernel.lockdown",
    type: "text",
    meaning: "`none`, `integrity` or `confidentiality`: what root may not do to the kernel",
    source: "/sys/kernel/security/lockdown",
  },
  { name: "kernel.livepatches", type: "list", meaning: "livepatches that are loaded", source: "/sys/kernel/livepatch" },
  { name: "kernel.bootedAt", type: "text", meaning: "when it was started (RFC 3339)", source: "/proc/stat, btime" },
  {
    name: "restart.required",
    type: "flag",
    meaning: "a package asked for a restart since the machine was started",
    source: "/run/reboot-required",
  },
  {
    name: "restart.packages",
    type: "list",
    meaning: "which packages asked for it",
    source: "/run/reboot-required.pkgs",
  },
];

const hardware: readonly FactRow[] = [
  { name: "cpu.architecture", type: "text", meaning: "such as `x86_64`", source: "uname(2)" },
  { name: "cpu.model", type: "text", meaning: "the model of the processor", source: "/proc/cpuinfo, model name" },
  { name: "cpu.count", type: "whole", unit: "threads", meaning: "processors that run", source: "/proc/cpuinfo" },
  {
    name: "cpu.vulnerabilities",
    type: "map",
    meaning: "what the kernel says of each known hole of processors, such as `Mitigation: PTI`",
    source: "/sys/devices/system/cpu/vulnerabilities",
  },
  { name: "memory.bytes", type: "whole", unit: "bytes", meaning: "RAM", source: "/proc/meminfo, MemTotal" },
  {
    name: "tpm.version",
    type: "text",
    meaning: "`2.0` or `1.2`, or `none`",
    source: "/sys/class/tpm/tpm0/tpm_version_major",
  },
  {
    name: "firmware.type",
    type: "text",
    meaning: "`uefi`, or `other`",
    source: "whether /sys/firmware/efi is there",
  },
  {
    name: "firmware.secureBoot",
    type: "flag",
    meaning: "the firmware checked what it started",
    source: "the EFI variables SecureBoot and SetupMode (UEFI 2.10 section 3.3); false where there is no EFI",
  },
  { name: "firmware.version", type: "text", meaning: "the version of the firmware", source: "DMI, bios_version" },
  { name: "hardware.vendor", type: "text", meaning: "who made the machine", source: "DMI, sys_vendor" },
  { name: "hardware.model", type: "text", meaning: "the model of the machine", source: "DMI, product_name" },
  {
    name: "hardware.virtual",
    type: "flag",
    meaning: "it runs under a hypervisor",
    source: "/proc/cpuinfo, the flag hypervisor",
  },
];

const software: readonly FactRow[] = [
  {
    name: "packages",
    type: "map",
    meaning: "versions of the installed packages by their names",
    source: "dpkg's status file, read again when it changed",
  },
  {
    name: "programs.running",
    type: "map",
    meaning: "build-ids of the programs that run, by path; empty where a program has none or it may not be read",
    source: "/proc/PID/exe and the memory of the process",
  },
  {
    name: "programs.packages",
    type: "map",
    meaning: "versions, by package, of what runs: programs and libraries that dpkg knows as they are mapped",
    source: "/proc/PID/maps and dpkg's lists",
  },
  {
    name: "programs.outdated",
    type: "list",
    meaning: "files that processes have mapped and that were replaced or removed on the disk since",
    source: "/proc/PID/maps",
  },
  {
    name: "containers",
    type: "map",
    meaning: "runtimes of containers that have processes here, by the first 12 digits of their ids",
    source: "/proc/PID/cgroup",
  },
  { name: "hotpatches", type: "list", meaning: "hotpatches that are in place in a process", source: "the agent" },
  {
    name: "processes",
    type: "whole",
    unit: "processes",
    meaning: "Node.js processes that it may touch",
    source: "/proc",
  },
  {
    name: "binary.BUILDID",
    type: "list",
    meaning: "a program or library that runs: its path, and its Debian package with the version where dpkg knows it",
    source: "/proc/PID/maps and dpkg's lists",
  },
  { name: "process.PID.command", type: "text", meaning: "a process that hotpatches may be for", source: "/proc/PID" },
  { name: "process.PID.node", type: "text", meaning: "the Node.js that it runs", source: "/proc/PID" },
  { name: "process.PID.startedAt", type: "text", meaning: "when it was started (RFC 3339)", source: "/proc/PID/stat" },
  {
    name: "process.PID.packages",
    type: "list",
    meaning: "packages in it that the catalog has hotpatches for, as `name@version`",
    source: "the process",
  },
  {
    name: "process.PID.buildIds",
    type: "list",
    meaning: "build-ids in it that the catalog has hotpatches for",
    source: "the process",
  },
  {
    name: "process.PID.hotpatches",
    type: "list",
    meaning: "hotpatches that are in place in it",
    source: "the process",
  },
];

const agent: readonly FactRow[] = [
  { name: "agent.version", type: "text", meaning: "the version of the agent", source: "the agent" },
  { name: "agent.node", type: "text", meaning: "the Node.js that it runs on", source: "the agent" },
  {
    name: "agent.uid",
    type: "whole",
    meaning: "the user that it runs as; 0 reaches all processes",
    source: "geteuid(2)",
  },
  {
    name: "agent.backupHook",
    type: "flag",
    meaning: "a backup has to succeed before each hotpatch",
    source: "`hooks/backup` in its folder",
  },
];

/** In the order in which docs/facts.md shows them. */
export const factCatalog: readonly { readonly title: string; readonly rows: readonly FactRow[] }[] = [
  { title: "The machine", rows: machine },
  { title: "The kernel", rows: kernel },
  { title: "Hardware and firmware", rows: hardware },
  { title: "Software", rows: software },
  { title: "The agent", rows: agent },
];

export const factRows: readonly FactRow[] = factCatalog.flatMap(({ rows }) => rows);

/** Facts with one place each, by name. */
export const singleFacts: ReadonlyMap<string, FactRow> = new Map(
  factRows.filter(({ name }) => !/[A-Z]{2}/.test(name)).map((row) => [row.name, row]),
);

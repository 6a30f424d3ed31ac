/**
 * The rules of eligibility that ship with the server, as data: which devices can take hotpatches of which products.
 *
 * A filter is a condition over facts (docs/filters.md) that has to hold.
 * The first ones are those of the model, which asks them for its own programs and its kernel; an administrator may have them count for other products.
 * Whether a device is on its baseline is no rule but a gate of its own (`baseline/behind`), since it depends on the hotpatch.
 * docs/device-states.md prints the table.
 */
export interface EligibilityRule {
  readonly id: string;
  /** `*`, a kind as `elf/*`, or one product as `elf/expat`. */
  readonly products: readonly string[];
  readonly filter: string;
  readonly reason: string;
  readonly helps: string;
  /** What it means where the device does not tell a fact that the filter asks for. */
  readonly unknown: "blocks" | "passes";
  readonly enabled: boolean;
}

const ofTheModel = ["pe/*", "kernel/*"];

export const shippedRules: readonly EligibilityRule[] = [
  {
    ...{
      id: "build",
      products: ["pe/*"],
      filter: '!os.build.olderThan("26100.2033")',
      unknown: "blocks",
      enabled: true,
    },
    reason: "Its build is older than 26100.2033.",
    helps: "Install the newest baseline.",
  },
  {
    ...{ id: "edition", products: ["pe/*"], unknown: "blocks", enabled: true },
    filter: 'os.edition.lowerAscii() in ["enterprise", "education", "server", "datacenter", "ltsc"]',
    reason: "Its edition is not entitled to hotpatches.",
    helps: "Use an entitled edition, or the standard channel.",
  },
  {
    ...{ id: "isolation", products: ofTheModel, unknown: "blocks", enabled: true },
    filter: 'firmware.secureBoot && kernel.lockdown != "none"',
    reason: "Isolation is not running: Secure Boot with lockdown of the kernel.",
    helps: "Turn on Secure Boot and lockdown, and restart; that they are set up is not enough.",
  },
  {
    ...{ id: "tpm", products: ofTheModel, filter: 'tpm.version == "2.0"', unknown: "blocks", enabled: true },
    reason: "It has no TPM 2.0.",
    helps: "Turn the TPM on in the firmware, or use a machine that has one.",
  },
  {
    ...{ id: "memory", products: ["pe/*"], unknown: "blocks", enabled: true },
    filter: "memory.bytes >= 8 * 1024 * 1024 * 1024",
    reason: "It has less than 8 GiB of RAM.",
    helps: "Give it more memory.",
  },
  {
    ...{ id: "management", products: ["*"], filter: '!("unmanaged" in tags)', unknown: "blocks", enabled: true },
    reason: "It was taken out of management by the tag `unmanaged`.",
    helps: "Take the tag away with `rebootless device tag --remove unmanaged`.",
  },
  {
    ...{ id: "architecture", products: ["elf/*"], filter: 'cpu.architecture == "x86_64"', enabled: true },
    unknown: "passes",
    reason: "Native hotpatches are for x86-64 alone.",
    helps: "Install the update with a restart of the program.",
  },
  {
    ...{ id: "kernel", products: ["elf/*"], unknown: "passes", enabled: true },
    filter: 'kernel.release.matches("^([5-9]|[1-9][0-9])\\\\.")',
    reason: "Its kernel is older than Linux 5.0.",
    helps: "Boot a newer kernel.",
  },
  {
    ...{ id: "lockdown", products: ["kernel/*"], filter: 'kernel.lockdown != "confidentiality"', enabled: true },
    unknown: "blocks",
    reason: "Its kernel is locked down for confidentiality.",
    helps: "Boot with `lockdown=integrity`, or take the baseline with a restart.",
  },
  {
    ...{ id: "agent-version", products: ["*"], filter: '!agent.version.olderThan("0.1.0")', enabled: true },
    unknown: "passes",
    reason: "Its agent is older than 0.1.0.",
    helps: "Update the agent.",
  },
  {
    ...{ id: "backup", products: ["*"], filter: "agent.backupHook", unknown: "blocks", enabled: false },
    reason: "No backup is made on it before a hotpatch.",
    helps: "Put a program that makes one into `hooks/backup` of the agent's folder.",
  },
];

/** The table of docs/device-states.md. */
export function eligibilityTable(): string {
  return [
    "| rule | products | filter | without the facts | why not | what helps |",
    "|---|---|---|---|---|---|",
    ...shippedRules.map(
      ({ id, products, filter, unknown, reason, helps }) =>
        `| ${id} | ${products.join(", ")} | \`${filter.replaceAll("|", "\\|")}\` | ${unknown} | ${reason} | ${helps} |`,
    ),
    "",
  ].join("\n");
}

/** `rebootless eligibility …`: which devices can take hotpatches of which products. */
import type { EligibilityPreview } from "../../api/schemas/eligibility.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { text, texts } from "../option-values.ts";
import { ask } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

const ruleArgument = { name: "<rule>", description: "the id of a rule" };
const whyOption: CommandOption = { flags: "--why <reason>", description: "why; it stands in the history" };

/** Throws `usage/arguments`. */
function whyOf(input: CommandInput): string {
  const why = text(input, "why");
  if (why === undefined || why === "") throw new RebootlessError("usage/arguments", "Say why: --why REASON.");
  return why;
}

const list: CommandSpec = {
  name: "eligibility list",
  summary: "list the rules that devices have to meet",
  options: serverOptions,
  examples: [{ command: "rebootless eligibility list", what: "each rule with the products that it counts for" }],
  async run(input, io) {
    const { items: rules } = await ask(serverOf(input, io), "listEligibilityRules");
    const rows = rules.map((rule) => [
      ...[
        rule.id,
        rule.enabled ? "on" : "off",
        rule.products.join(","),
        rule.unknown,
        rule.changedBy ?? "",
        rule.filter,
      ],
    ]);
    const table = textTable(["RULE", "IS", "PRODUCTS", "WITHOUT FACTS", "CHANGED BY", "FILTER"], rows);
    return { data: { rules }, text: table };
  },
};

const ruleOptions: readonly CommandOption[] = [
  { flags: "--filter <expression>", description: "the condition that has to hold, in CEL" },
  {
    flags: "--product <pattern>",
    description: "a product, a kind as 'elf/*', or '*'; may be repeated",
    repeatable: true,
  },
  { flags: "--reason <sentence>", description: "why a device is not eligible" },
  { flags: "--helps <sentence>", description: "what would help" },
  { flags: "--unknown <blocks|passes>", description: "what it means where the device does not tell the facts" },
  { flags: "--on", description: "the rule counts" },
  { flags: "--off", description: "the rule does not count" },
];

/** Throws `usage/arguments`. */
function changeOf(input: CommandInput) {
  const [filter, reason, helps] = [text(input, "filter"), text(input, "reason"), text(input, "helps")];
  const given = text(input, "unknown");
  const unknown = (["blocks", "passes"] as const).find((word) => word === given);
  if (given !== undefined && unknown === undefined) {
    throw new RebootlessError("usage/arguments", `--unknown takes blocks or passes, not ${quoted(given)}.`);
  }
  const products = [...texts(input, "product")];
  const [on, off] = [input.options.on === true, input.options.off === true];
  if (on && off) throw new RebootlessError("usage/arguments", "A rule is either --on or --off.");
  return {
    ...(filter === undefined ? {} : { filter }),
    ...(reason === undefined ? {} : { reason }),
    ...(helps === undefined ? {} : { helps }),
    ...(unknown === undefined ? {} : { unknown }),
    ...(products.length === 0 ? {} : { products }),
    ...(on || off ? { enabled: on } : {}),
  };
}

function previewed({ product, devices, eligible, lacking }: EligibilityPreview): string {
  const lines = lacking.map(({ ruleId, unmet, unknown, reason, helps }) => {
    const open = unknown === 0 ? "" : `, ${unknown} do not tell`;
    return `${unmet} lack ${ruleId}${open}: ${reason} ${helps}`;
  });
  return [`Of ${devices} devices ${eligible} can take hotpatches of ${product}.`, ...lines].map(printable).join("\n");
}

const set: CommandSpec = {
  name: "eligibility set",
  summary: "change a rule, switch it off, or add one",
  description: "Offers follow at once. With --dry-run and --for, nothing is saved, and the whole fleet is counted.",
  arguments: [ruleArgument],
  options: [
    ...serverOptions,
    ...ruleOptions,
    whyOption,
    { flags: "--dry-run", description: "say what it would mean, and change nothing" },
    { flags: "--for <product>", description: "the product that --dry-run counts for" },
  ],
  examples: [
    { command: "rebootless eligibility set tpm --off --why 'Ticket 4711'", what: "ask for no TPM" },
    {
      command: "rebootless eligibility set tpm --product '*' --dry-run --for npm/json5",
      what: "how many devices would be left if every hotpatch asked for a TPM",
    },
  ],
  async run(input, io) {
    const [id = ""] = input.arguments;
    const server = serverOf(input, io);
    const change = changeOf(input);
    if (Object.keys(change).length === 0) {
      throw new RebootlessError("usage/arguments", "Say what changes, such as --filter, --product or --off.");
    }
    if (input.options.dryRun === true) {
      const product = text(input, "for");
      if (product === undefined) throw new RebootlessError("usage/arguments", "Say what to count for: --for PRODUCT.");
      const preview = await ask(server, "previewEligibility", { body: { product, change: { id, ...change } } });
      return { data: preview, text: previewed(preview) };
    }
    const body = { ...change, why: whyOf(input) };
    const rule = await ask(server, "changeEligibilityRule", { params: { ruleId: id }, body });
    return { data: rule, text: `Saved: ${rule.id} is ${rule.enabled ? "on" : "off"} for ${rule.products.join(", ")}.` };
  },
};

const reset = withDryRun({
  name: "eligibility reset",
  summary: "make a rule what it was when it shipped, or take away one that was added",
  arguments: [ruleArgument],
  options: [...serverOptions, whyOption],
  examples: [{ command: "rebootless eligibility reset tpm --why 'All have one now'", what: "as it shipped" }],
  async run(input, io) {
    const [ruleId = ""] = input.arguments;
    await ask(serverOf(input, io), "resetEligibilityRule", { params: { ruleId }, body: { why: whyOf(input) } });
    return { data: { ruleId, reset: true }, text: `Reset: ${printable(ruleId)}.` };
  },
});

const preview: CommandSpec = {
  name: "eligibility preview",
  summary: "say how many devices can take hotpatches of a product, and what the others lack",
  arguments: [{ name: "<product>", description: "what hotpatches are for, as elf/expat" }],
  options: serverOptions,
  examples: [{ command: "rebootless eligibility preview elf/expat", what: "before a rollout" }],
  async run(input, io) {
    const [product = ""] = input.arguments;
    const found = await ask(serverOf(input, io), "previewEligibility", { body: { product } });
    return { data: found, text: previewed(found) };
  },
};

const history: CommandSpec = {
  name: "eligibility history",
  summary: "show who changed a rule, when and why",
  arguments: [ruleArgument],
  options: serverOptions,
  examples: [{ command: "rebootless eligibility history tpm", what: "every change of the rule, oldest first" }],
  async run(input, io) {
    const [ruleId = ""] = input.arguments;
    const { items } = await ask(serverOf(input, io), "eligibilityHistory", { params: { ruleId } });
    const rows = items.map(({ at, by, why, rule }) => [
      ...[at, by, rule === null ? "removed" : rule.enabled ? "on" : "off", why, rule?.filter ?? ""],
    ]);
    const table = textTable(["AT", "BY", "IS", "WHY", "FILTER"], rows);
    return { data: { history: items }, text: rows.length === 0 ? "It was never changed." : table };
  },
};

export const eligibilityCommands: readonly CommandSpec[] = [list, set, reset, preview, history];

/** `rebootless webhook …`: events sent to addresses of others. */
import { eventKinds } from "../../api/schemas/events.ts";
import type { Webhook } from "../../api/schemas/webhooks.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import type { CommandInput, CommandOption, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { oneOf, text, texts } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

const exampleId = "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21";
const webhookArgument = { name: "<webhook>", description: "the id of the webhook" };
const kindOption: CommandOption = {
  flags: "--kind <kind>",
  description: "only this kind of event; may be repeated (by default all)",
  repeatable: true,
};

function kindsOf(input: CommandInput) {
  const kinds = texts(input, "kind").flatMap((word) => oneOf(eventKinds, word, "--kind") ?? []);
  return kinds.length === 0 ? {} : { kinds };
}

function described(one: Webhook): string {
  return [
    `${one.title} (${one.id}): ${one.state}`,
    `address: ${one.url}`,
    `kinds: ${one.kinds.join(", ") || "all"}`,
    ...(one.groupId === null ? [] : [`group: ${one.groupId}`]),
    `delivered: up to event ${one.delivered}`,
    ...(one.attempts === 0 ? [] : [`failed ${one.attempts} times: ${one.lastError}`]),
    ...(one.nextAttemptAt === null ? [] : [`next attempt: ${one.nextAttemptAt}`]),
    `made: ${one.createdAt} by ${one.createdBy}`,
  ]
    .map(printable)
    .join("\n");
}

const add = withDryRun({
  name: "webhook add",
  summary: "send events to an address from now on",
  description:
    "Messages have the form of Standard Webhooks. The secret that they are signed with is printed this once; keep it where the receiver finds it.",
  arguments: [
    { name: "<title>", description: "what people call it" },
    { name: "<url>", description: "where the messages go; https" },
  ],
  options: [...serverOptions, kindOption, { flags: "--group <id>", description: "only about devices of this group" }],
  examples: [
    {
      command: "rebootless webhook add pager https://pager.example/hook --kind rollout-halted --kind rollout-alert",
      what: "call somebody when a rollout goes wrong",
    },
  ],
  async run(input, io) {
    const [title = "", url = ""] = input.arguments;
    const groupId = text(input, "group");
    const body = { title, url, ...kindsOf(input), ...(groupId === undefined ? {} : { groupId }) };
    const made = await ask(serverOf(input, io), "makeWebhook", { body });
    return { data: made, text: `Made: ${printable(title)} (${made.webhook.id}).\nSecret: ${made.secret}` };
  },
});

const list: CommandSpec = {
  name: "webhook list",
  summary: "list the webhooks",
  options: serverOptions,
  examples: [{ command: "rebootless webhook list", what: "and which of them fail" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const webhooks = await askAll((cursor) => ask(server, "listWebhooks", pageQuery(cursor)));
    const rows = webhooks.map((one) => [
      ...[one.title, one.state, one.url, String(one.delivered), String(one.attempts), one.id, one.lastError],
    ]);
    const table = textTable(["TITLE", "STATE", "ADDRESS", "DELIVERED", "FAILED", "ID", "LAST ERROR"], rows);
    return { data: { webhooks }, text: rows.length === 0 ? "There is no webhook." : table };
  },
};

const show: CommandSpec = {
  name: "webhook show",
  summary: "show a webhook",
  arguments: [webhookArgument],
  options: serverOptions,
  examples: [{ command: `rebootless webhook show ${exampleId}`, what: "how far it is" }],
  async run(input, io) {
    const [webhookId = ""] = input.arguments;
    const webhook = await ask(serverOf(input, io), "getWebhook", { params: { webhookId } });
    return { data: webhook, text: described(webhook) };
  },
};

const update = withDryRun({
  name: "webhook update",
  summary: "change a webhook",
  arguments: [webhookArgument],
  options: [
    ...serverOptions,
    kindOption,
    { flags: "--title <title>", description: "what people call it" },
    { flags: "--url <url>", description: "where the messages go" },
  ],
  examples: [
    { command: `rebootless webhook update ${exampleId} --url https://new.example/hook`, what: "it has moved" },
  ],
  async run(input, io) {
    const [webhookId = ""] = input.arguments;
    const [title, url] = [text(input, "title"), text(input, "url")];
    const body = {
      ...kindsOf(input),
      ...(title === undefined ? {} : { title }),
      ...(url === undefined ? {} : { url }),
    };
    if (Object.keys(body).length === 0)
      throw new RebootlessError("usage/arguments", "Say what changes, such as --url.");
    const webhook = await ask(serverOf(input, io), "changeWebhook", { params: { webhookId }, body });
    return { data: webhook, text: described(webhook) };
  },
});

function stateCommand(word: "pause" | "resume", summary: string): CommandSpec {
  return withDryRun({
    name: `webhook ${word}`,
    summary,
    arguments: [webhookArgument],
    options: serverOptions,
    examples: [{ command: `rebootless webhook ${word} ${exampleId}`, what: "nothing that happens meanwhile is lost" }],
    async run(input, io) {
      const [webhookId = ""] = input.arguments;
      const body = { state: word === "pause" ? ("paused" as const) : ("active" as const) };
      const webhook = await ask(serverOf(input, io), "changeWebhook", { params: { webhookId }, body });
      return { data: webhook, text: described(webhook) };
    },
  });
}

const rotate = withDryRun({
  name: "webhook rotate",
  summary: "give a webhook a new secret; the old one signs as well for a day",
  arguments: [webhookArgument],
  options: serverOptions,
  examples: [{ command: `rebootless webhook rotate ${exampleId}`, what: "the new secret, this once" }],
  async run(input, io) {
    const [webhookId = ""] = input.arguments;
    const rotated = await ask(serverOf(input, io), "rotateWebhookSecret", { params: { webhookId } });
    return { data: rotated, text: `Secret: ${rotated.secret}` };
  },
});

const tryOut: CommandSpec = {
  name: "webhook test",
  summary: "send a test message now",
  arguments: [webhookArgument],
  options: serverOptions,
  examples: [{ command: `rebootless webhook test ${exampleId}`, what: "exit code 1 where it was not taken" }],
  async run(input, io) {
    const [webhookId = ""] = input.arguments;
    const delivery = await ask(serverOf(input, io), "testWebhook", { params: { webhookId } });
    const said = delivery.error === "" ? `It was taken (${delivery.status}).` : `It was not taken: ${delivery.error}.`;
    return { data: delivery, text: printable(said), exitCode: delivery.error === "" ? 0 : 1 };
  },
};

const deliveries: CommandSpec = {
  name: "webhook deliveries",
  summary: "show what was sent last, the newest first",
  arguments: [webhookArgument],
  options: serverOptions,
  examples: [{ command: `rebootless webhook deliveries ${exampleId}`, what: "each attempt with its answer" }],
  async run(input, io) {
    const [webhookId = ""] = input.arguments;
    const { items } = await ask(serverOf(input, io), "listWebhookDeliveries", { params: { webhookId } });
    const rows = items.map((one) => [
      ...[one.at, String(one.sequence), String(one.attempt), one.status === null ? "" : String(one.status), one.error],
    ]);
    const table = textTable(["AT", "EVENT", "ATTEMPT", "STATUS", "ERROR"], rows);
    return { data: { deliveries: items }, text: rows.length === 0 ? "Nothing was sent yet." : table };
  },
};

const replay = withDryRun({
  name: "webhook replay",
  summary: "send everything behind an event again",
  arguments: [webhookArgument],
  options: [...serverOptions, { flags: "--after <number>", description: "the number of the event" }],
  examples: [{ command: `rebootless webhook replay ${exampleId} --after 120`, what: "from event 121 on" }],
  async run(input, io) {
    const [webhookId = ""] = input.arguments;
    const after = text(input, "after") ?? "";
    if (!/^\d{1,15}$/.test(after)) throw new RebootlessError("usage/arguments", "Say --after NUMBER.");
    const body = { after: Number(after) };
    const webhook = await ask(serverOf(input, io), "replayWebhook", { params: { webhookId }, body });
    return { data: webhook, text: described(webhook) };
  },
});

const remove = withDryRun({
  name: "webhook remove",
  summary: "send nothing there any more",
  arguments: [webhookArgument],
  options: serverOptions,
  examples: [{ command: `rebootless webhook remove ${exampleId}`, what: "for good" }],
  async run(input, io) {
    const [webhookId = ""] = input.arguments;
    await ask(serverOf(input, io), "removeWebhook", { params: { webhookId } });
    return { data: { webhookId, removed: true }, text: `Removed: ${printable(webhookId)}.` };
  },
});

export const webhookCommands: readonly CommandSpec[] = [
  ...[add, list, show, update],
  stateCommand("pause", "send nothing for a while"),
  stateCommand("resume", "go on with a webhook that was paused or disabled"),
  ...[rotate, tryOut, deliveries, replay, remove],
];

/** `rebootless approval requests|confirm|reject|four-eyes …`: what waits for a second person, and where one is asked for. */
import { type ApprovalRequest, requestStates, requirementKinds } from "../../api/schemas/four-eyes.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import type { CommandInput, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { oneOf, text } from "../option-values.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";

const exampleId = "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21";
const requestArgument = { name: "<id>", description: "the id of the request" };
const reasonOption = { flags: "--reason <text>", description: "why, for the record; has to be given" };

function reasonOf(input: CommandInput): string {
  const reason = text(input, "reason") ?? "";
  if (reason.trim() === "") throw new RebootlessError("usage/arguments", "Say why: --reason.");
  return reason;
}

function requestTable(requests: readonly ApprovalRequest[]): string {
  if (requests.length === 0) return "There is no request.";
  const rows = requests.map(({ id, operation, state, requestedBy, expiresAt, reason, asked }) => [
    ...[id, state, operation, requestedBy.name ?? requestedBy.kind, expiresAt, reason, JSON.stringify(asked)],
  ]);
  return textTable(["REQUEST", "IS", "OPERATION", "ASKED BY", "UNTIL", "REASON", "WHAT"], rows);
}

const requestsList: CommandSpec = {
  name: "approval requests",
  summary: "list what waits for a second person",
  options: [
    ...serverOptions,
    { flags: `--only <${requestStates.join("|")}>`, description: "those that are so", default: "waiting" },
  ],
  examples: [
    { command: "rebootless approval requests --server prod", what: "what waits, who asked, and until when" },
    { command: "rebootless approval requests --only rejected --json", what: "with the reasons of those who rejected" },
  ],
  async run(input, io) {
    const server = serverOf(input, io);
    const state = oneOf(requestStates, text(input, "only"), "--only") ?? "waiting";
    const requests = await askAll((cursor) =>
      ask(server, "listApprovalRequests", { query: { ...pageQuery(cursor).query, state } }),
    );
    return { data: { requests }, text: requestTable(requests) };
  },
};

const requestConfirm = withDryRun({
  name: "approval confirm",
  summary: "confirm what another person asked for, which does it",
  description:
    "It takes a server that one is signed in to, and the roles that doing it oneself would take. With --digest it is confirmed only if it is what was looked at.",
  arguments: [requestArgument],
  options: [
    ...serverOptions,
    reasonOption,
    { flags: "--digest <digest>", description: "of the request that was looked at, as --json shows it" },
  ],
  examples: [
    { command: `rebootless approval confirm ${exampleId} --reason 'tested on staging' --server prod`, what: "do it" },
  ],
  async run(input, io) {
    const [requestId = ""] = input.arguments;
    const reason = reasonOf(input);
    const server = serverOf(input, io);
    const params = { requestId };
    const digest = text(input, "digest") ?? (await ask(server, "getApprovalRequest", { params })).digest;
    const request = await ask(server, "confirmApprovalRequest", { params, body: { reason, digest } });
    return { data: request, text: `Confirmed and done: ${request.operation} (${request.id}).` };
  },
});

const requestReject = withDryRun({
  name: "approval reject",
  summary: "reject what somebody asked for; one person is enough",
  arguments: [requestArgument],
  options: [...serverOptions, reasonOption],
  examples: [
    { command: `rebootless approval reject ${exampleId} --reason 'not before Monday' --server prod`, what: "no" },
  ],
  async run(input, io) {
    const [requestId = ""] = input.arguments;
    const body = { reason: reasonOf(input) };
    const request = await ask(serverOf(input, io), "rejectApprovalRequest", { params: { requestId }, body });
    return { data: request, text: `Rejected: ${request.operation} (${request.id}).` };
  },
});

const fourEyesList: CommandSpec = {
  name: "approval four-eyes list",
  summary: "list the groups and policies that a second person has to confirm changes of",
  options: serverOptions,
  examples: [{ command: "rebootless approval four-eyes list", what: "with who asked for it, and why" }],
  async run(input, io) {
    const { items } = await ask(serverOf(input, io), "listFourEyes");
    const rows = items.map(({ kind, subject, createdAt, createdBy, reason }) => [
      ...[kind, subject, createdAt, createdBy, reason],
    ]);
    const table = textTable(["KIND", "SUBJECT", "SINCE", "BY", "REASON"], rows);
    return { data: { items }, text: rows.length === 0 ? "Nothing asks for a second person." : table };
  },
};

const kindArgument = { name: `<${requirementKinds.join("|")}>`, description: "a group with all below it, or a policy" };
const subjectArgument = { name: "<id>", description: "the id of the group or the policy; `all` is the whole fleet" };

function requirementOf([kind = "", subject = ""]: readonly string[]) {
  return { kind: oneOf(requirementKinds, kind, "The first argument") ?? "group", subject };
}

const fourEyesOn = withDryRun({
  name: "approval four-eyes on",
  summary: "have a second person confirm what is decided for a group and those below it, or for a policy",
  description:
    "For an administrator; it takes two of them. To end it, and to ask for more of it, takes a second person.",
  arguments: [kindArgument, subjectArgument],
  options: [...serverOptions, reasonOption],
  examples: [
    { command: "rebootless approval four-eyes on group all --reason 'audit 2026'", what: "for the whole fleet" },
  ],
  async run(input, io) {
    const params = requirementOf(input.arguments);
    const body = { reason: reasonOf(input) };
    const made = await ask(serverOf(input, io), "requireFourEyes", { params, body });
    return { data: made, text: `A second person has to confirm: ${made.kind} ${printable(made.subject)}.` };
  },
});

const fourEyesOff = withDryRun({
  name: "approval four-eyes off",
  summary: "ask that a second person need not confirm any more, which a second person confirms",
  arguments: [kindArgument, subjectArgument],
  options: serverOptions,
  examples: [{ command: "rebootless approval four-eyes off group prod --server prod", what: "becomes a request" }],
  async run(input, io) {
    const params = requirementOf(input.arguments);
    await ask(serverOf(input, io), "releaseFourEyes", { params });
    return { data: { ...params, required: false }, text: `Confirmed no longer: ${printable(params.subject)}.` };
  },
});

export const approvalRequestCommands: readonly CommandSpec[] = [
  ...[requestsList, requestConfirm, requestReject, fourEyesList, fourEyesOn, fourEyesOff],
];

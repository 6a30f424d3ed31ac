/** `rebootless token …`: API tokens, by which programs ask a server in the name of a person. */
import type { ApiToken } from "../../api/schemas/access.ts";
import { RebootlessError } from "../../base/errors.ts";
import type { CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { text, texts, wholeNumber } from "../option-values.ts";
import { ask } from "../server-client.ts";
import { ownServerOf, serverOf, serverOptions } from "../server-target.ts";
import { textTable } from "../text-table.ts";
import { grantOf, grantWords, personNamed } from "./user.ts";

const tokenCreate = withDryRun({
  name: "token create",
  summary: "make an API token with some of one's roles",
  description:
    "The token is shown this once. It is one's own, so it takes a server that one is signed in to; it ends with the person's roles.",
  arguments: [{ name: "<title>", description: "what it is for" }],
  options: [
    ...serverOptions,
    {
      flags: "--role <role>",
      description: "a role, and behind a colon the group that it is for, `all` unless told; may be repeated",
      repeatable: true,
    },
    { flags: "--days <number>", description: "for how long it is good (by default 90, at most 365)" },
  ],
  examples: [
    {
      command: "rebootless token create 'nightly report' --role auditor --server prod > report.token",
      what: "its first line is the token, as --token-file takes it",
    },
  ],
  async run(input, io) {
    const [title = ""] = input.arguments;
    const grants = texts(input, "role").map((given) => grantOf(given, "--role"));
    if (grants.length === 0) throw new RebootlessError("usage/arguments", "Say what it may do: --role.");
    const days = wholeNumber(input, "days", "--days");
    const body = { title, grants, ...(days === undefined ? {} : { days }) };
    const data = await ask(ownServerOf(input, io), "makeApiToken", { body });
    return { data, text: `${data.token}\n${grantWords(data.grants)} until ${data.expiresAt}; its id is ${data.id}.` };
  },
});

function tokenTable(tokens: readonly ApiToken[]): string {
  if (tokens.length === 0) return "There is no API token.";
  const rows = tokens.map(({ id, grants, expiresAt, usedAt, title }) => [
    ...[id, grantWords(grants), expiresAt, usedAt ?? "never", title],
  ]);
  return textTable(["TOKEN", "ROLES", "EXPIRES", "LAST USED", "TITLE"], rows);
}

const instead = ", or a person with --of";
const ofOption = { flags: "--of <name>", description: "those of this person, for an administrator" };

const tokenList: CommandSpec = {
  name: "token list",
  summary: "list API tokens: one's own, or those of a person",
  options: [...serverOptions, ofOption],
  examples: [{ command: "rebootless token list --server prod", what: "what each may do, and when it was used last" }],
  async run(input, io) {
    const of = text(input, "of");
    const server = of === undefined ? ownServerOf(input, io, instead) : serverOf(input, io);
    const { items: tokens } =
      of === undefined
        ? await ask(server, "listApiTokens")
        : await ask(server, "listPersonTokens", { params: { personId: (await personNamed(server, of)).id } });
    return { data: { tokens }, text: tokenTable(tokens) };
  },
};

const tokenRevoke = withDryRun({
  name: "token revoke",
  summary: "end an API token at once",
  arguments: [{ name: "<token>", description: "the id of a token, and not the token itself" }],
  options: [...serverOptions, ofOption],
  examples: [{ command: "rebootless token revoke 7b1e2c6a-52f0-4d0e-9a57-1f0c3a8e6d11", what: "on every server" }],
  async run(input, io) {
    const [tokenId = ""] = input.arguments;
    // Whoever takes the token for its id is told before it stands in an address.
    if (!/^[0-9a-f-]{36}$/.test(tokenId)) {
      throw new RebootlessError("usage/arguments", "That is no id of a token; `rebootless token list` has them.");
    }
    const of = text(input, "of");
    const server = of === undefined ? ownServerOf(input, io, instead) : serverOf(input, io);
    if (of === undefined) await ask(server, "revokeApiToken", { params: { tokenId } });
    else {
      const { id: personId } = await personNamed(server, of);
      await ask(server, "revokePersonToken", { params: { personId, tokenId } });
    }
    return { data: { id: tokenId, revoked: true }, text: `Revoked: ${tokenId}.` };
  },
});

export const tokenCommands: readonly CommandSpec[] = [tokenCreate, tokenList, tokenRevoke];

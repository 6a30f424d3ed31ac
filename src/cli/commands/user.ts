/** `rebootless user …`: people, their roles and their sessions. */
import { type Grant, type Person, type PersonSession, roles } from "../../api/schemas/access.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import type { CommandInput, CommandIo, CommandOption, CommandResult, CommandSpec } from "../command.ts";
import { withDryRun } from "../dry-run.ts";
import { oneOf, text, texts } from "../option-values.ts";
import { readSecret, readSecrets } from "../secret-input.ts";
import { ask, askAll, pageQuery } from "../server-client.ts";
import { ownServerOf, type ServerTarget, serverOf, serverOptions } from "../server-target.ts";
import { linkForCommand } from "../sign-in-link.ts";
import { textTable } from "../text-table.ts";

const nameArgument = { name: "<name>", description: "the name of a person" };

/** Throws `request/not-found`. */
export async function personNamed(server: ServerTarget, name: string): Promise<Person> {
  if (!/^[a-z0-9][a-z0-9._@-]{0,62}$/.test(name)) {
    throw new RebootlessError(
      "usage/arguments",
      `A name has small letters, digits, dots, hyphens, _ and @, not ${quoted(name)}.`,
    );
  }
  const { items } = await ask(server, "listPeople", { query: { name } });
  const [person] = items;
  if (person !== undefined) return person;
  throw new RebootlessError(
    "request/not-found",
    `There is no person ${quoted(name)}; \`rebootless user list\` has them.`,
  );
}

/** `ROLE` or `ROLE:GROUP`. Throws `usage/arguments`. */
export function grantOf(given: string, flag: string): Grant {
  const [word = "", groupId = "all", more] = given.split(":");
  const role = oneOf(roles, word, flag);
  if (role !== undefined && more === undefined && /^[a-z0-9][a-z0-9-]{0,62}$/.test(groupId)) return { role, groupId };
  throw new RebootlessError("usage/arguments", `${flag} takes ROLE or ROLE:GROUP, not ${quoted(given)}.`);
}

export function grantWords(grants: readonly Grant[]): string {
  return grants.map(({ role, groupId }) => (groupId === "all" ? role : `${role}:${groupId}`)).join(",");
}

function described({ name, title, state, createdAt, grants }: Person): string {
  return [`${name}: ${title}`, `state: ${state}`, `since: ${createdAt}`, `roles: ${grantWords(grants) || "none"}`]
    .map(printable)
    .join("\n");
}

const userList: CommandSpec = {
  name: "user list",
  summary: "list people with their roles",
  options: serverOptions,
  examples: [{ command: "rebootless user list", what: "who may come in, and what he may do in which groups" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const people = await askAll((cursor) => ask(server, "listPeople", pageQuery(cursor)));
    const rows = people.map(({ name, state, grants, title }) => [name, state, grantWords(grants), title]);
    return { data: { people }, text: textTable(["NAME", "STATE", "ROLES", "TITLE"], rows) };
  },
};

const userShow: CommandSpec = {
  name: "user show",
  summary: "show a person",
  arguments: [nameArgument],
  options: serverOptions,
  examples: [{ command: "rebootless user show ada", what: "her state and her roles" }],
  async run(input, io) {
    const person = await personNamed(serverOf(input, io), input.arguments[0] ?? "");
    return { data: person, text: described(person) };
  },
};

const roleWords = `a role (${roles.join(", ")}), and behind a colon the group that it is for, \`all\` unless told; may be repeated`;

const userAdd = withDryRun({
  name: "user add",
  summary: "add a person",
  description: "`rebootless user link` lets him in.",
  arguments: [nameArgument],
  options: [
    ...serverOptions,
    { flags: "--title <title>", description: "what others read" },
    { flags: "--role <role>", description: roleWords, repeatable: true },
  ],
  examples: [
    { command: "rebootless user add ada --title 'Ada L.' --role operator:web --role auditor", what: "with two roles" },
  ],
  async run(input, io) {
    const [name = ""] = input.arguments;
    const title = text(input, "title");
    const grants = texts(input, "role").map((given) => grantOf(given, "--role"));
    const body = { name, grants, ...(title === undefined ? {} : { title }) };
    const person = await ask(serverOf(input, io), "addPerson", { body });
    return { data: person, text: `Added: ${person.name}. \`rebootless user link ${person.name}\` lets him in.` };
  },
});

const userRole = withDryRun({
  name: "user role",
  summary: "give a person roles, and take them away",
  description: "Takes effect at once; his sessions end, so that he signs in anew with what he may do now.",
  arguments: [nameArgument],
  options: [
    ...serverOptions,
    { flags: "--give <role>", description: roleWords, repeatable: true },
    { flags: "--take <role>", description: "as with --give", repeatable: true },
  ],
  examples: [{ command: "rebootless user role ada --give approver:web --take operator", what: "one role for another" }],
  async run(input, io) {
    const given = texts(input, "give").map((word) => grantOf(word, "--give"));
    const taken = texts(input, "take").map((word) => grantOf(word, "--take"));
    if (given.length + taken.length === 0) {
      throw new RebootlessError("usage/arguments", "Say what changes: --give or --take.");
    }
    const server = serverOf(input, io);
    const { id: personId, name } = await personNamed(server, input.arguments[0] ?? "");
    for (const grant of given) await ask(server, "giveRole", { params: { personId, ...grant } });
    for (const grant of taken) await ask(server, "takeRole", { params: { personId, ...grant } });
    const person = await personNamed(server, name);
    return { data: person, text: described(person) };
  },
});

function stateCommand(word: "disable" | "enable", summary: string, what: string): CommandSpec {
  return withDryRun({
    name: `user ${word}`,
    summary,
    arguments: [nameArgument],
    options: serverOptions,
    examples: [{ command: `rebootless user ${word} ada`, what }],
    async run(input, io) {
      const server = serverOf(input, io);
      const { id: personId } = await personNamed(server, input.arguments[0] ?? "");
      const body = { state: `${word}d` as const };
      const person = await ask(server, "changePerson", { params: { personId }, body });
      return { data: person, text: described(person) };
    },
  });
}

const userRemove = withDryRun({
  name: "user remove",
  summary: "remove a person with all that lets him in",
  description: "Events keep his name and what he did.",
  arguments: [nameArgument],
  options: serverOptions,
  examples: [{ command: "rebootless user remove ada", what: "at once, on every server" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const { id: personId, name } = await personNamed(server, input.arguments[0] ?? "");
    await ask(server, "removePerson", { params: { personId } });
    return { data: { id: personId, name, removed: true }, text: `Removed: ${name}.` };
  },
});

const userLink = withDryRun({
  name: "user link",
  summary: "make a link that signs a person in, once",
  arguments: [nameArgument],
  options: [
    ...serverOptions,
    {
      flags: "--for-command",
      description: "for `rebootless server add` on another machine, rather than for a browser",
    },
  ],
  examples: [{ command: "rebootless user link ada", what: "hand it to her by a way that nobody else reads" }],
  async run(input, io) {
    const server = serverOf(input, io);
    const { id: personId } = await personNamed(server, input.arguments[0] ?? "");
    const made = await ask(server, "linkPerson", { params: { personId } });
    const { sha256 } = await ask(server, "authority");
    const data = input.options.forCommand === true ? { ...made, link: linkForCommand(made.link, sha256) } : made;
    return { data, text: `${data.link}\nWorks once, until ${data.expiresAt}.` };
  },
});

function sessionTable(sessions: readonly PersonSession[]): string {
  const rows = sessions.map(({ id, method, seenAt, expiresAt, address, program, current }) => [
    ...[id, method, seenAt, expiresAt, address, current ? `this one, ${program}` : program],
  ]);
  if (rows.length === 0) return "There is no session.";
  return textTable(["SESSION", "BY", "LAST SEEN", "ENDS", "FROM", "PROGRAM"], rows);
}

const endOption: CommandOption = { flags: "--end <id>", description: "end this session" };

const userSessions = withDryRun({
  name: "user sessions",
  summary: "list or end sessions: one's own, or those of a person",
  arguments: [{ name: "[name]", description: "the name of a person; without it, whoever asks" }],
  options: [
    ...serverOptions,
    endOption,
    { flags: "--end-others", description: "end one's own but for the one that asks" },
  ],
  examples: [
    { command: "rebootless user sessions --server prod", what: "where one is signed in" },
    { command: "rebootless user sessions ada --end 7b1e2c6a-52f0-4d0e-9a57-1f0c3a8e6d11", what: "end one of hers" },
  ],
  async run(input, io) {
    const [name = ""] = input.arguments;
    const sessions = await (name === ""
      ? ownSessions(ownServerOf(input, io, ", or a person"), input)
      : sessionsOf(serverOf(input, io), name, input));
    return { data: { sessions }, text: sessionTable(sessions) };
  },
});

async function ownSessions(server: ServerTarget, input: CommandInput): Promise<PersonSession[]> {
  const sessionId = text(input, "end");
  if (sessionId !== undefined) await ask(server, "endOwnSession", { params: { sessionId } });
  if (input.options.endOthers === true) await ask(server, "endOtherSessions");
  return (await ask(server, "listOwnSessions")).items;
}

async function sessionsOf(server: ServerTarget, name: string, input: CommandInput): Promise<PersonSession[]> {
  if (input.options.endOthers === true) {
    throw new RebootlessError("usage/arguments", "--end-others is for one's own sessions; give no name with it.");
  }
  const { id: personId } = await personNamed(server, name);
  const sessionId = text(input, "end");
  if (sessionId !== undefined) await ask(server, "endPersonSession", { params: { personId, sessionId } });
  return (await ask(server, "listPersonSessions", { params: { personId } })).items;
}

const userPassword = withDryRun({
  name: "user set-password",
  summary: "give a person a password or take it, or change one's own",
  description:
    "It is typed at the terminal, or is the first line of standard input; never a part of the command line. Without a name it is one's own, and the one before comes first.",
  arguments: [{ name: "[name]", description: "whose; one's own unless told, which needs --server" }],
  options: [...serverOptions, { flags: "--remove", description: "take the password; links and the provider let in" }],
  examples: [
    { command: "rebootless user set-password anna", what: "his other sessions end" },
    { command: "rebootless user set-password --server prod", what: "change one's own" },
  ],
  async run(input, io) {
    const [name] = input.arguments;
    if (name === undefined) return await ownPassword(input, io);
    const server = serverOf(input, io);
    const { id: personId } = await personNamed(server, name);
    if (input.options.remove === true) {
      await ask(server, "removePassword", { params: { personId } });
      return { data: { name, password: false }, text: `${printable(name)} has no password any more.` };
    }
    const password = await readSecret(`Password for ${printable(name)}`);
    await ask(server, "setPassword", { params: { personId }, body: { password } });
    return { data: { name, password: true }, text: `${printable(name)} has a password.` };
  },
});

async function ownPassword(input: CommandInput, io: CommandIo): Promise<CommandResult> {
  if (input.options.remove === true) {
    throw new RebootlessError("usage/arguments", "An administrator takes passwords; say whose by a name.");
  }
  const server = ownServerOf(input, io, "; for somebody else, say whose by a name");
  const [current, password] = await readSecrets(["Your password", "The new one"]);
  await ask(server, "changeOwnPassword", { body: { current, password } });
  return { data: { password: true }, text: "Your password is changed; your other sessions have ended." };
}

export const userCommands: readonly CommandSpec[] = [
  ...[userList, userShow, userAdd, userRole],
  stateCommand("disable", "keep a person out: his sessions end at once", "until she is enabled again"),
  stateCommand("enable", "let a person in again", "she signs in anew"),
  ...[userRemove, userSessions, userLink, userPassword],
];

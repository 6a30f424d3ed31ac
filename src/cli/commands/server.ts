/** `rebootless server …`: the control plane on this machine. */
import { readFileSync } from "node:fs";
import { apiLimits } from "../../api/api-limits.ts";
import { RebootlessError } from "../../base/errors.ts";
import { quoted } from "../../base/printable.ts";
import { catalogAddress } from "../../repository/client/catalog-client.ts";
import type { RunningServer, RunOptions } from "../../server/run-server.ts";
import type { CommandInput, CommandIo, CommandSpec } from "../command.ts";
import { databaseOf, databaseOptions } from "../database-setting.ts";
import { withDryRun } from "../dry-run.ts";
import { oneOf, paths, text, texts, wholeNumber } from "../option-values.ts";
import { ask } from "../server-client.ts";
import { serverOf, serverOptions, stateFolderOf, stateOption, tenantOf, tenantOption } from "../server-target.ts";
import { linkForCommand } from "../sign-in-link.ts";
import { namedServerCommands } from "./named-servers.ts";

const serverRun: CommandSpec = {
  name: "server run",
  summary: "run the control plane",
  description:
    "Keeps everything in one folder, listens on loopback unless told otherwise, and goes on until it is ended. Prints a sign-in link as long as nobody has signed in yet.",
  options: [
    stateOption,
    tenantOption,
    { flags: "--host <address>", description: "the address to listen on", default: "127.0.0.1" },
    { flags: "--port <number>", description: "the port to listen on, 0 for any that is free", default: "8443" },
    {
      flags: "--name <name>",
      description: "a name or address that others reach the server by; goes into its certificate",
      repeatable: true,
    },
    ...databaseOptions,
    {
      flags: "--authority <folder>",
      description: "the authority's folder, the same for all servers of one database (by default in the state folder)",
    },
    {
      flags: "--replace-authority",
      description: "make this server's authority that of the database, where the old one is lost; devices enrol anew",
    },
    { flags: "--catalog <address>", description: "the catalog: an http(s) address, or its public folder" },
    {
      flags: "--catalog-root <file>",
      description: "the catalog's root metadata file, which its owner handed over; needed the first time",
    },
    {
      flags: "--trust <file>",
      description: "a public key whose hotpatches machines that enrol are to trust; kept from then on",
      repeatable: true,
    },
    { flags: "--oidc-issuer <url>", description: "a provider of OpenID Connect by which people sign in" },
    { flags: "--oidc-client-id <id>", description: "what the provider calls this server" },
    { flags: "--oidc-client-secret <file>", description: "a file with the secret that the provider gave" },
    {
      flags: "--oidc-name-claim <claim>",
      description: "what the provider says that is a person's name here (by default preferred_username)",
    },
    { flags: "--oidc-new-people <refuse|auditor>", description: "whom nobody has added (by default refuse)" },
    {
      flags: "--webhooks-to-private-addresses",
      description: "let webhooks go to loopback and private networks, also by plain HTTP",
    },
    { flags: "--keep-events <days>", description: "for how long events are kept (by default 400 days)" },
  ],
  examples: [
    {
      command: "rebootless server run --catalog ./shop/public --catalog-root ./shop/public/metadata/1.root.json",
      what: "for the machines that reach this one over loopback",
    },
    {
      command: "rebootless server run --host 0.0.0.0 --name patches.example",
      what: "for others as well",
    },
    {
      command: "rebootless server run --database-file /etc/rebootless/database --authority /etc/rebootless/authority",
      what: "one of several on a PostgreSQL",
    },
    { command: "rebootless server run --tenant acme --port 8444", what: "for another company, with nothing in common" },
  ],
  async run(input, io) {
    const database = await databaseOf(input, io);
    const options = { ...runOptions(input, io), ...(database === undefined ? {} : { database }) };
    // Loaded only here: no other command should wait for the server's code.
    const { runServer } = await import("../../server/run-server.ts");
    const server = await runServer(options);
    // Awaited by nobody but the operating system: from here on, a signal is how it ends.
    const ended = new Promise<void>((resolve) => process.once("SIGTERM", () => resolve()));
    io.progress(`Listening on ${server.address}, state in ${options.stateFolder}.`);
    if (!(await anybodySignedIn(server.context.database))) {
      io.progress(`Sign in, once and within ${apiLimits.signInLinkMinutes} minutes: ${await server.signInLink()}`);
    }
    await ended;
    await server.close();
    return { data: { address: server.address, ended: true }, text: "Ended." };
  },
};

async function anybodySignedIn(database: RunningServer["context"]["database"]): Promise<boolean> {
  const row = await database.selectFrom("events").select("sequence").where("kind", "=", "signed-in").executeTakeFirst();
  return row !== undefined;
}

function runOptions(input: CommandInput, io: CommandIo): RunOptions {
  const catalog = text(input, "catalog");
  const [firstRoot] = paths(input, "catalogRoot", io);
  if (catalog === undefined && firstRoot !== undefined) {
    throw new RebootlessError("usage/arguments", "--catalog-root needs --catalog.");
  }
  const tenant = tenantOf(input, io);
  const [authorityFolder] = paths(input, "authority", io);
  const keptEventDays = wholeNumber(input, "keepEvents", "--keep-events");
  const options = {
    ...(keptEventDays === undefined ? {} : { keptEventDays }),
    ...(authorityFolder === undefined ? {} : { authorityFolder }),
    replaceAuthority: input.options.replaceAuthority === true,
    ...oidcOf(input, io),
    webhooksToPrivateAddresses: input.options.webhooksToPrivateAddresses === true,
    stateFolder: stateFolderOf(input, io),
    ...(tenant === undefined ? {} : { tenant }),
    host: text(input, "host") ?? "127.0.0.1",
    port: portOf(text(input, "port") ?? "8443"),
    names: texts(input, "name"),
    trust: paths(input, "trust", io),
    version: ownVersion(),
    log: (line: Record<string, unknown>) => io.warn(JSON.stringify(line)),
  };
  if (catalog === undefined) return options;
  const address = catalogAddress(catalog, io.cwd);
  return { ...options, catalog: firstRoot === undefined ? { address } : { address, firstRoot } };
}

/** Throws `usage/arguments`. */
function oidcOf(input: CommandInput, io: CommandIo): Pick<RunOptions, "oidc"> {
  const [issuer, clientId] = [text(input, "oidcIssuer"), text(input, "oidcClientId")];
  if (issuer === undefined && clientId === undefined) return {};
  if (issuer === undefined || clientId === undefined || !URL.canParse(issuer)) {
    throw new RebootlessError("usage/arguments", "OpenID Connect needs --oidc-issuer URL and --oidc-client-id ID.");
  }
  const [clientSecretFile] = paths(input, "oidcClientSecret", io);
  const newPeople = oneOf(["refuse", "auditor"] as const, text(input, "oidcNewPeople"), "--oidc-new-people");
  return {
    oidc: {
      ...{ issuer: new URL(issuer), clientId, nameClaim: text(input, "oidcNameClaim") ?? "preferred_username" },
      newPeople: newPeople ?? "refuse",
      ...(clientSecretFile === undefined ? {} : { clientSecretFile }),
    },
  };
}

function portOf(given: string): number {
  if (!/^\d{1,5}$/.test(given) || Number(given) > 65535) {
    throw new RebootlessError("usage/arguments", `--port takes a number from 0 to 65535, not ${quoted(given)}.`);
  }
  return Number(given);
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  return String((manifest as { version: unknown }).version);
}

const serverToken = withDryRun({
  name: "server token",
  summary: "make a token that enrols one machine",
  description: "The token is shown this once. It works once, and expires.",
  options: [
    ...serverOptions,
    { flags: "--minutes <number>", description: "for how long it is good (by default 60)" },
    { flags: "--group <id>", description: "a group that the machine joins, besides `all`" },
  ],
  examples: [{ command: "rebootless server token --group web", what: "for a machine that joins the group web" }],
  async run(input, io) {
    const minutes = wholeNumber(input, "minutes", "--minutes");
    const groupId = text(input, "group");
    const body = { ...(minutes === undefined ? {} : { minutes }), ...(groupId === undefined ? {} : { groupId }) };
    const data = await ask(serverOf(input, io), "makeToken", { body });
    return { data, text: `${data.token}\nWorks once, until ${data.expiresAt}.` };
  },
});

const serverSignInLink = withDryRun({
  name: "server sign-in-link",
  summary: "make a link that signs an administrator in, once",
  options: [
    ...serverOptions,
    {
      flags: "--for-command",
      description: "for `rebootless server add` on another machine, rather than for a browser",
    },
  ],
  examples: [
    { command: "rebootless server sign-in-link", what: "print a link to open in a browser" },
    { command: "rebootless server sign-in-link --for-command", what: "print one that carries the authority's SHA-256" },
  ],
  async run(input, io) {
    const server = serverOf(input, io);
    const made = await ask(server, "makeSignInLink");
    const { sha256 } = await ask(server, "authority");
    const data = input.options.forCommand === true ? { ...made, link: linkForCommand(made.link, sha256) } : made;
    return { data, text: `${data.link}\nWorks once, until ${data.expiresAt}.` };
  },
});

export const serverCommands: readonly CommandSpec[] = [
  serverRun,
  serverToken,
  serverSignInLink,
  ...namedServerCommands,
];

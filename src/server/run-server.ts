/**
 * The control plane as one running thing: the state folder, the database, the authority, the listeners.
 *
 * The state folder (mode 0700) holds `server.sqlite` (unless the database is a PostgreSQL), `authority/`, `catalog/`, `trusted/` and `local.sock`, the administrator's own way in.
 */
import { chmod, readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { Server as TlsServer } from "node:tls";
import type { FastifyInstance } from "fastify";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { createFolder, errnoOf } from "../base/stored-file.ts";
import { addTrustedKey } from "../hotpatch/trust-store.ts";
import { CatalogClient } from "../repository/client/catalog-client.ts";
import { everything } from "./access/reach.ts";
import { Authority } from "./authority/authority.ts";
import { shareAuthority } from "./authority/shared-authority.ts";
import { Catalog } from "./catalog/catalog.ts";
import { followCatalog } from "./catalog/follow-catalog.ts";
import { builtConsole, PageFiles } from "./console/page-files.ts";
import { change, type ServerContext, systemClock, systemRandom } from "./context.ts";
import { openDatabase } from "./database/open-database.ts";
import { isDatabaseAway } from "./database/postgres-errors.ts";
import type { Store } from "./database/store.ts";
import { learnHotpatches } from "./device-states/known-hotpatches.ts";
import { dropOldEvents } from "./events/events.ts";
import { buildHttp } from "./http/build-http.ts";
import { localSocket } from "./local-socket.ts";
import { Metrics } from "./metrics/metrics.ts";
import { Scheduler, tickMs } from "./schedule/scheduler.ts";
import type { ScheduledTask } from "./schedule/task.ts";
import { scheduledTasks } from "./schedule/tasks.ts";
import { OidcProvider, type OidcSettings } from "./sign-in/oidc-provider.ts";
import { makeSignInLink } from "./sign-in/sign-in.ts";
import { Signals } from "./signals.ts";
import { holdStateFolder } from "./state-lock.ts";
import { deliverDue } from "./webhooks/deliver.ts";

export interface RunOptions {
  readonly stateFolder: string;
  /** Loopback unless told otherwise. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Names and addresses that the server has besides those of loopback. */
  readonly names: readonly string[];
  /** The address of a PostgreSQL, postgres://…; without it the database is a file in the state folder. */
  readonly database?: string;
  /** Whose server it is, where one PostgreSQL has the tables of several. */
  readonly tenant?: string;
  /** Where the authority is, when it is not in the state folder: servers of one database have the same. */
  readonly authorityFolder?: string;
  /** The authority becomes that of the database even where it has another one. */
  readonly replaceAuthority?: boolean;
  readonly catalog?: { readonly address: URL; readonly firstRoot?: string };
  /** Public key files of authors whose hotpatches agents are to trust; kept from then on. */
  readonly trust?: readonly string[];
  readonly version: string;
  /** For how many days events are kept; 400 unless told, which is a year and a month for the auditor. */
  readonly keptEventDays?: number;
  /** The folder of the built web console, where it is not the one that the checkout builds. */
  readonly consoleFolder?: string;
  /** A provider of OpenID Connect, by which people sign in. */
  readonly oidc?: OidcSettings;
  /** Webhooks may go to loopback and private networks, and by plain HTTP; otherwise to the public Internet alone. */
  readonly webhooksToPrivateAddresses?: boolean;
  readonly clock?: () => Date;
  readonly random?: (bytes: number) => Buffer;
  /** Does work again and again, until the answered function is called; the machine's timer unless told. */
  readonly repeat?: (everyMs: number, work: () => Promise<void>) => () => void;
  /** What the scheduler does as time passes; everything of the server unless told. */
  readonly tasks?: readonly ScheduledTask[];
  /** Told of what a person must look at; one line of JSON each. */
  log(line: Record<string, unknown>): void;
}

export interface RunningServer {
  readonly address: string;
  readonly context: ServerContext;
  /** A link that signs an administrator in, once. */
  signInLink(): Promise<string>;
  /** Does at once what the next tick of the scheduler would do. */
  tick(): Promise<void>;
  /** Sends at once what webhooks are to be sent. */
  deliver(): Promise<void>;
  close(): Promise<void>;
}

type Closing = (() => Promise<unknown>)[];

export const loopbackNames = ["localhost", "127.0.0.1", "::1"] as const;
export const keptEventDays = 400;
/** How often the catalog is looked at when nobody asks for it. */
const catalogMs = 30_000;
const dayMs = 24 * 60 * 60 * 1000;
/** The age at which the server's certificate is replaced. */
const renewAfterMs = 20 * dayMs;
/** How often its age is looked at: a tenth of the skew of clocks that a certificate allows for. */
const renewalLookMs = 60_000;

/** Starts everything, or nothing. Throws `server/*` errors, and what the state folder's files may throw. */
export async function runServer(options: RunOptions): Promise<RunningServer> {
  const { stateFolder, clock = systemClock, random = systemRandom } = options;
  await createFolder(stateFolder, 0o700);
  await chmod(stateFolder, 0o700);
  const closing: Closing = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const store = await openStore(options, closing);
    const authority = await Authority.open(options.authorityFolder ?? path.join(stateFolder, "authority"), clock);
    await shareAuthority(store, authority, { replace: options.replaceAuthority ?? false });
    const names = [...new Set([...loopbackNames, ...(isAny(options.host) ? [] : [options.host]), ...options.names])];
    const signals = new Signals();
    await store.listen(signals);
    const catalog = await catalogOf(options, clock);
    const trustFolder = path.join(stateFolder, "trusted");
    for (const file of options.trust ?? []) await addTrustedKey(trustFolder, file);
    const context: ServerContext = {
      database: store.database,
      store,
      authority,
      catalog,
      trustFolder,
      signals,
      metrics: new Metrics(options.version),
      oidc: options.oidc === undefined ? undefined : new OidcProvider(options.oidc),
      webhooks: { allowPrivate: options.webhooksToPrivateAddresses ?? false },
      clock,
      random,
      names,
      version: options.version,
      address: "",
      by: { kind: "server" },
      reach: everything,
    };
    catalog?.followedBy((content) => followCatalog(context, content));
    await learn(context, options);
    const network = await networkListener(context, options, closing);
    context.address = `https://${addressOf(network, options)}`;
    await localListener(context, options, closing);
    // Last in, first out: those who wait are let go before their connections are closed.
    closing.push(async () => signals.close());
    await change(context, ({ note }) => note("server-started", "server", { address: context.address }));
    await keepEvents(context, options, closing);
    keepUpWithCatalog(context, options, closing);
    const scheduler = keepTime(context, options, closing);
    const deliver = keepDelivering(context, options, closing);
    return {
      address: context.address,
      context,
      close,
      signInLink: async () => (await makeSignInLink(context)).link,
      tick: () => scheduler.tick(),
      deliver,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function learn(context: ServerContext, { log }: RunOptions): Promise<void> {
  try {
    await learnHotpatches(context);
  } catch (error) {
    log({
      level: "warn",
      message: "the catalog could not be asked what approved hotpatches are for",
      error: String(error),
    });
  }
}

async function openStore({ stateFolder, database, tenant }: RunOptions, closing: Closing): Promise<Store> {
  if (database !== undefined) closing.push(await holdStateFolder(stateFolder));
  const store = await openDatabase({ file: path.join(stateFolder, "server.sqlite"), address: database, tenant });
  closing.push(() => store.close());
  return store;
}

async function catalogOf({ catalog, stateFolder }: RunOptions, clock: () => Date): Promise<Catalog | undefined> {
  if (catalog === undefined) return undefined;
  const client = { address: catalog.address, stateFolder: path.join(stateFolder, "catalog") };
  const { firstRoot } = catalog;
  const options = firstRoot === undefined ? client : { ...client, firstRoot: await readRoot(firstRoot) };
  return new Catalog(new CatalogClient(options), clock);
}

async function readRoot(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new RebootlessError("input/file-missing", `The root metadata file ${quoted(file)} cannot be read.`, {
      cause: error,
    });
  }
}

/**
 * RFC 8446 alone; a certificate is asked for and not demanded, since people come without one.
 *
 * The server's own certificate is new at each start and lasts for ninety days; it is replaced once it is twenty days old by the clock, so that a machine which slept for months renews it soon after it wakes.
 */
async function networkListener(
  context: ServerContext,
  options: RunOptions,
  closing: Closing,
): Promise<FastifyInstance> {
  const { authority, names, clock } = context;
  let renewAt = 0;
  const secure = async () => {
    const { key, certificate: cert } = await authority.serverCredentials(names);
    renewAt = clock().getTime() + renewAfterMs;
    return { key, cert, ca: authority.certificate, minVersion: "TLSv1.3" } as const;
  };
  const tls = { ...(await secure()), requestCert: true, rejectUnauthorized: false };
  const page = new PageFiles(options.consoleFolder ?? builtConsole);
  const app = buildHttp(context, { listener: "network", tls, page, onBug: (...what) => logBug(options, ...what) });
  const stop = (options.repeat ?? repeatByTimer)(renewalLookMs, async () => {
    const now = clock().getTime();
    // A clock that was set back would leave a certificate that is not valid yet.
    if (now < renewAt && now >= renewAt - renewAfterMs) return;
    try {
      (app.server as unknown as TlsServer).setSecureContext(await secure());
    } catch (error) {
      options.log({ level: "error", message: "the server's certificate could not be renewed", error: String(error) });
    }
  });
  closing.push(async () => {
    stop();
    await app.close();
  });
  await listen(app, { host: options.host, port: options.port });
  return app;
}

/** At the start, and once a day. */
async function keepEvents(context: ServerContext, options: RunOptions, closing: Closing): Promise<void> {
  const days = options.keptEventDays ?? keptEventDays;
  await dropOldEvents(context, days);
  const stop = (options.repeat ?? repeatByTimer)(dayMs, async () => {
    try {
      await dropOldEvents(context, days);
    } catch (error) {
      options.log({ level: "error", message: "old events could not be dropped", error: String(error) });
    }
  });
  closing.push(async () => stop());
}

/** The first tick comes after a second, when the listeners answer. */
function keepTime(context: ServerContext, options: RunOptions, closing: Closing): Scheduler {
  const scheduler = new Scheduler(context, options.tasks ?? scheduledTasks, (thrown, task, piece) => {
    const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    options.log({ level: "error", message: "what was due could not be done", task, piece, error });
  });
  const stop = (options.repeat ?? repeatByTimer)(tickMs, async () => {
    if (!scheduler.busy) await scheduler.tick();
  });
  closing.push(async () => {
    stop();
    await scheduler.close();
  });
  return scheduler;
}

/** A turn begins each second where none is under way. */
function keepDelivering(context: ServerContext, options: RunOptions, closing: Closing): () => Promise<void> {
  const ended = new AbortController();
  let underWay: Promise<void> | undefined;
  const deliver = async () => {
    underWay ??= deliverDue(context, ended.signal).finally(() => {
      underWay = undefined;
    });
    await underWay;
  };
  const quietly = async () => {
    try {
      await deliver();
    } catch (error) {
      // What is not sent stays to be sent, and who asks for something is told by the answer to his request.
      if (ended.signal.aborted || isDatabaseAway(error)) return;
      options.log({ level: "error", message: "webhooks could not be sent", error: String(error) });
    }
  };
  const stop = (options.repeat ?? repeatByTimer)(tickMs, quietly);
  closing.push(async () => {
    stop();
    ended.abort();
    await underWay?.catch(() => undefined);
  });
  return deliver;
}

/** So that what is published, or withdrawn, takes effect though nobody asks. */
function keepUpWithCatalog({ catalog }: ServerContext, options: RunOptions, closing: Closing): void {
  if (catalog === undefined) return;
  const stop = (options.repeat ?? repeatByTimer)(catalogMs, async () => {
    try {
      await catalog.content();
    } catch (error) {
      options.log({ level: "warn", message: "the catalog could not be read", error: String(error) });
    }
  });
  closing.push(async () => stop());
}

function repeatByTimer(everyMs: number, work: () => Promise<void>): () => void {
  const timer = setInterval(work, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** A unix socket in a folder of mode 0700: whoever can open it is the owner of the state, or root. */
async function localListener(context: ServerContext, options: RunOptions, closing: Closing): Promise<void> {
  const file = localSocket(options.stateFolder);
  // The database is ours alone by now, so a socket that is there belongs to a server that died.
  await rm(file, { force: true });
  const app = buildHttp(context, { listener: "local", onBug: (...what) => logBug(options, ...what) });
  closing.push(() => app.close());
  await listen(app, { path: file });
  await chmod(file, 0o600);
}

async function listen(app: FastifyInstance, where: { host: string; port: number } | { path: string }): Promise<void> {
  try {
    await app.listen(where);
  } catch (error) {
    const shown = "path" in where ? where.path : `${where.host} port ${where.port}`;
    const why = errnoOf(error) === "EADDRINUSE" ? "another program listens there" : (errnoOf(error) ?? "unknown error");
    throw new RebootlessError("server/listen", `The server cannot listen on ${quoted(shown)}: ${why}.`, {
      cause: error,
    });
  }
}

function logBug({ log }: RunOptions, thrown: unknown, route: string): void {
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  log({ level: "error", message: "a request failed that should not", route, stack });
}

function isAny(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** As others reach it, since sign-in links begin with it: by its first name where it listens for others. */
function addressOf(app: FastifyInstance, { host, names }: Pick<RunOptions, "host" | "names">): string {
  const found = app.server.address();
  const port = typeof found === "object" && found !== null ? found.port : 0;
  const isLoopback = loopbackNames.some((name) => name === host);
  const name = (isLoopback ? undefined : names[0]) ?? (isAny(host) ? "127.0.0.1" : host);
  return `${name.includes(":") ? `[${name}]` : name}:${port}`;
}

/**
 * The control plane and the agent of this machine: set up at the first start, found again at later ones.
 *
 * Each step looks whether it was done before, so that a start that was interrupted anywhere is taken up by the next one.
 */
import { createServer } from "node:net";
import { hostname } from "node:os";
import { type Stage, StoryError } from "./stage.ts";

const usualPort = 8443;
/** Far above what the sample needs, so that the story can be told on a machine that is busy with other things. */
const maxPauseMs = 5000;
const loopback = "127.0.0.1";

/** The author's key, and the trust of this machine in it. */
export async function makeKeys(stage: Stage): Promise<void> {
  const { state, commandLine } = stage;
  stage.enterStep("make a key");
  if (!state.has(state.authorKey)) await commandLine.run("key", "generate", "--out", "keys/", "--name", "author");
  stage.enterStep("trust the key");
  if (!state.has(state.trusted)) await commandLine.run("key", "trust", "keys/author.pub");
}

export async function startControlPlane(stage: Stage): Promise<void> {
  const { teller, state, commandLine } = stage;
  await openCatalog(stage);
  stage.enterStep("start the control plane");
  const wanted = await portFor(stage);
  const words = ["server", "run", "--state", "server", "--port", String(wanted)];
  const catalog = ["--catalog", "catalog/public", "--catalog-root", state.firstRoot, "--trust", state.authorPublicKey];
  stage.server = commandLine.startDaemon("The control plane", [...words, ...catalog]);
  const [, address = ""] = await stage.server.said(/Listening on (https:\S+?),? /);
  state.keepPort(Number(new URL(address).port));
  stage.figures.server = { address, pid: stage.server.pid };
  teller.say(`The control plane runs at ${address}, for this machine alone (PID ${stage.server.pid}).`);
}

/** The catalog of signed hotpatches, whose short-lived signatures a later start may have to renew. */
async function openCatalog(stage: Stage): Promise<void> {
  const { state, commandLine } = stage;
  stage.enterStep("open the catalog");
  if (!state.isPublished) {
    await commandLine.run("repo", "init", "catalog", "--keys", "catalog-keys");
    return;
  }
  const words = ["repo", "status", "--repo", "catalog"];
  const { exitCode } = await commandLine.attempt(words, { silent: true });
  if (exitCode !== 0) await commandLine.run("repo", "renew", "--repo", "catalog");
}

async function portFor({ state, options }: Stage): Promise<number> {
  const { port: known } = state;
  const { serverPort: wanted } = options;
  if (known !== undefined && wanted !== undefined && wanted !== known) {
    throw new StoryError(
      `The agent knows the control plane at port ${known}; leave --server-port out, or name another --state.`,
    );
  }
  const port = known ?? wanted ?? usualPort;
  if (port === 0 || (await isFree(port))) return port;
  if (known === undefined && wanted === undefined) return 0;
  throw new StoryError(
    `Another program listens on port ${port}; another npm start of this state, perhaps. End it, or name another --state.`,
  );
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return await new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, loopback, () => probe.close(() => resolve(true)));
  });
}

/** A machine that has been enrolled already may have work waiting, for which its agent starts when the story has come that far. */
export async function enrolAgent(stage: Stage): Promise<void> {
  if (!stage.state.isEnrolled) await startAgent(stage);
}

/** The agent of this machine, for the processes of whoever starts it. */
export async function startAgent(stage: Stage): Promise<void> {
  const { teller, state, commandLine, figures } = stage;
  if (figures.agent !== null) return;
  if (!state.isEnrolled) {
    stage.enterStep("enrol this machine");
    const { token } = await commandLine.run<{ token: string }>("server", "token", "--state", "server");
    const words = ["agent", "enrol", "--server", figures.server?.address ?? "", "--state", "agent"];
    await commandLine.runWith({ env: { REBOOTLESS_TOKEN: token } }, words);
  }
  stage.enterStep("start the agent");
  stage.agent = commandLine.startDaemon("The agent", [
    ...["agent", "run", "--state", "agent", "--max-pause", String(maxPauseMs)],
  ]);
  figures.agent = { pid: stage.agent.pid, deviceId: state.deviceId };
  const whose = process.geteuid?.() === 0 ? "every process of this machine" : "your processes";
  teller.say(`The agent of ${hostname()} has enrolled and looks after ${whose} (PID ${stage.agent.pid}).`);
}

/** Another link than the one that the server printed, which may be old by now. */
export async function tellSignIn({ teller, commandLine, figures }: Stage): Promise<void> {
  const { link } = await commandLine.runWith<{ link: string }>({ silent: true }, [
    ...["server", "sign-in-link", "--state", "server"],
  ]);
  teller.say(`The page: ${figures.server?.address}. Sign in, once and within 15 minutes:`);
  teller.say(`  ${link}`);
}

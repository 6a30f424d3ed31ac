/** The last words of the story: everything goes on, and here is how to look at it and what to try. */
import { attack } from "../attack.ts";
import { checkout } from "../command-line.ts";
import { tellSignIn } from "./control-plane.ts";
import type { Stage } from "./stage.ts";

export async function leaveRunning(stage: Stage): Promise<void> {
  const { teller, state, figures, options } = stage;
  teller.chapter("Your turn");
  await tellSignIn(stage);
  teller.say("In another terminal:");
  teller.command(`cd ${shellWord(checkout)}`);
  teller.command(`export REBOOTLESS_STATE=${shellWord(state.server)} REBOOTLESS_TRUST_DIR=${shellWord(state.trusted)}`);
  for (const words of ["ps", "device list", "action list", "events"]) teller.command(`npx rebootless ${words}`);
  teller.command(`npx rebootless agent status --state ${shellWord(state.agent)}`);
  if (options.sample) {
    const { pid, url } = stage.service;
    teller.command(`npx rebootless verify ${shellWord(state.hotpatch)} --pid ${pid}`);
    teller.command(`curl -s --data ${shellWord(attack)} ${url}/settings`);
    teller.say(`The service goes on at ${url} (PID ${pid}), patched.`);
  }
  teller.say(
    `Another machine joins with five lines, which README.md has; here it would find ${figures.server?.address}.`,
  );
  teller.say("Ctrl-C ends everything that was started here; the next start goes on from what it leaves.");
}

/** POSIX shell quoting, only where it is needed. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

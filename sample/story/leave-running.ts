/** The last words of the story: the service goes on, and here is how to look at it. */
import { join } from "node:path";
import { attack } from "../attack.ts";
import { checkout } from "../command-line.ts";
import { hotpatchFile } from "./chapters.ts";
import type { Stage } from "./stage.ts";

export function leaveRunning({ teller, service, commandLine }: Stage): void {
  const file = join(commandLine.folder, hotpatchFile);
  teller.chapter("Your turn");
  teller.say(`The service goes on at ${service.url} (PID ${service.pid}), patched. In another terminal:`);
  teller.command(`cd ${shellWord(checkout)}`);
  teller.command(`export REBOOTLESS_TRUST_DIR=${shellWord(commandLine.trustFolder)}`);
  teller.command("npx rebootless ps");
  for (const verb of ["verify", "revert", "apply"]) {
    teller.command(`npx rebootless ${verb} ${shellWord(file)} --pid ${service.pid}`);
  }
  teller.command(`curl -s --data ${shellWord(attack)} ${service.url}/settings`);
  teller.command(`curl -s ${service.url}/status`);
  teller.say("Ctrl-C ends the service and removes the folder.");
}

/** POSIX shell quoting, only where it is needed. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

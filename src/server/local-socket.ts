/** Where the command finds the server of a state folder; apart from the server, so that asking it does not load it. */
import path from "node:path";

export function localSocket(stateFolder: string): string {
  return path.join(stateFolder, "local.sock");
}

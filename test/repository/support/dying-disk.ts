/**
 * A process that dies at a chosen step of its writing: every call that changes the disk is a step, and a file may be cut in the middle.
 *
 * The functions of node:fs/promises are exchanged under the program, so that what is tested is the code that runs otherwise.
 */
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

const real = { open: fs.open, rename: fs.rename, link: fs.link, unlink: fs.unlink, mkdir: fs.mkdir };

export interface Disk {
  /** Whether the chosen step was reached. */
  readonly died: boolean;
  /** Back to the true functions. */
  restore(): void;
}

/** From now on, the step with that number (from 1) does not happen, or happens by half, and none after it. `die` ends the process, or returns, and then every step throws. */
export function dieAtStep(step: number, die: () => void): Disk {
  let steps = 0;
  let died = false;
  const next = async (half: () => Promise<unknown> = async () => undefined): Promise<void> => {
    steps += 1;
    if (!died && steps === step) {
      await half();
      died = true;
      die();
    }
    if (died) throw Object.assign(new Error("the process is dead"), { code: "EDEAD" });
  };
  const stepping =
    <Arguments extends unknown[], Result>(work: (...given: Arguments) => Promise<Result>) =>
    async (...given: Arguments): Promise<Result> => {
      await next();
      return await work(...given);
    };
  Object.assign(fs, {
    rename: stepping(real.rename),
    link: stepping(real.link),
    unlink: stepping(real.unlink),
    mkdir: stepping(real.mkdir as (...given: unknown[]) => Promise<unknown>),
    open: async (...given: Parameters<typeof real.open>) => {
      const writes = typeof given[1] === "string" && /[wax]/.test(given[1]);
      if (writes) await next();
      const handle = await real.open(...given);
      const write = handle.writeFile.bind(handle);
      handle.writeFile = async (data, ...rest) => {
        const bytes = Buffer.from(data as Uint8Array);
        await next(() => write(bytes.subarray(0, bytes.length / 2)));
        await write(data, ...rest);
      };
      handle.chmod = stepping(handle.chmod.bind(handle));
      handle.sync = stepping(handle.sync.bind(handle));
      return handle;
    },
  });
  syncBuiltinESMExports();
  return {
    get died() {
      return died;
    },
    restore() {
      Object.assign(fs, real);
      syncBuiltinESMExports();
    },
  };
}

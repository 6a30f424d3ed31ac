/**
 * A machine of a test: namespaces of its own for processes, mounts and its name, and for the network where it is to have an address.
 *
 * It lives as long as the program that is its first process; when that is ended, the kernel ends all others with it.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { listPids, readStat } from "../../../src/process/process.ts";
import { type Place, until } from "../../agent/support/scene.ts";

export interface MachineOptions {
  /** Its host name. */
  readonly name: string;
  /** It has a network of its own, with nothing in it. */
  readonly ownNetwork?: boolean;
}

export class Machine implements Place {
  readonly entry: readonly [string, ...string[]];
  readonly name: string;
  /** Its first process, as the test sees it. */
  readonly firstPid: number;

  private constructor(name: string, firstPid: number, spaces: readonly string[]) {
    this.name = name;
    this.firstPid = firstPid;
    this.entry = ["nsenter", "--target", String(firstPid), ...spaces, "--"];
  }

  static async open(t: TestContext, { name, ownNetwork = false }: MachineOptions): Promise<Machine> {
    const spaces = ["--mount", "--pid", "--uts", ...(ownNetwork ? ["--net"] : [])];
    const words = [...spaces, "--fork", "--mount-proc", "--kill-child", "sleep", "infinity"];
    const child = spawn("unshare", words, { stdio: "inherit" });
    const ended = once(child, "exit");
    t.after(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    });
    const first = await until(`the machine ${name} is there`, () => {
      const pid = childOf(child.pid as number);
      return pid !== undefined && readStat(pid)?.comm === "sleep" && pid;
    });
    const machine = new Machine(name, first, spaces);
    machine.do("hostname", name);
    if (ownNetwork) machine.do("ip", "link", "set", "lo", "up");
    return machine;
  }

  /** Runs a command in it to its end, and answers what it printed. */
  do(...words: readonly string[]): string {
    const [command, ...rest] = [...this.entry, ...words] as [string, ...string[]];
    const { status, stdout, stderr, error } = spawnSync(command, rest, { encoding: "utf8" });
    assert.equal(status, 0, `${words.join(" ")}: ${stderr}${error ?? ""}`);
    return stdout;
  }

  /** A cable between its network and the test's, with an address at each end. */
  connect({ here, there }: { readonly here: string; readonly there: string }): void {
    run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "eth0", "netns", String(this.firstPid));
    run("ip", "address", "add", `${here}/24`, "dev", "cable");
    run("ip", "link", "set", "cable", "up");
    this.do("ip", "address", "add", `${there}/24`, "dev", "eth0");
    this.do("ip", "link", "set", "eth0", "up");
  }

  pidsOf(child: ChildProcess): { readonly outer: number; readonly own: number } | undefined {
    const outer = childOf(child.pid as number);
    if (outer === undefined) return undefined;
    const own = /^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${outer}/status`, "utf8"))?.[1];
    return own === undefined ? undefined : { outer, own: Number(own) };
  }
}

function run(command: string, ...words: readonly string[]): void {
  const { status, stderr } = spawnSync(command, words, { encoding: "utf8" });
  assert.equal(status, 0, `${command} ${words.join(" ")}: ${stderr}`);
}

function childOf(parent: number): number | undefined {
  return listPids().find((pid) => readStat(pid)?.parentPid === parent);
}

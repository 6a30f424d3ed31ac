/** A service in C with a hole, stripped, and a hotpatch for it that `rebootless build elf` made of its source and a fix. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { text } from "node:stream/consumers";
import type { Desk } from "../../cli/desk.ts";
import { run } from "../../engine/linux/support/target.ts";
import { type Made, made } from "./confined.ts";
import { Running, type Starter, type StartOptions, until, type Vulnerable } from "./scene.ts";

export const nativeSource = path.join(import.meta.dirname, "native-service");

/** The source in a folder of the test's own, and the program as a distribution ships it. */
export function buildService(folder: string, more = ""): { readonly source: string; readonly program: string } {
  const source = path.join(folder, "service-source");
  cpSync(nativeSource, source, { recursive: true });
  const program = path.join(folder, "service");
  run("make", ["-s", "-C", source, `CFLAGS=${more}`]);
  run("strip", ["-o", program, path.join(source, "service")]);
  run("make", ["-s", "-C", source, "clean"]);
  return { source, program };
}

export async function makeNative(desk: Desk): Promise<Made> {
  const { source, program } = buildService(desk.folder);
  const hotpatch = path.join(desk.folder, "service.hotpatch");
  const what = ["--source", source, "--patch", path.join(source, "fix.diff"), "--binary", program];
  const how = ["-o", hotpatch, "--key", desk.key, "--advisory", "CVE-2026-0001:high"];
  const built = await desk.say("build", "elf", ...what, ...how, "--", "make");
  assert.equal(built.code, 0, built.error);
  return { hotpatch, author: desk.key.replace(/\.key$/, ".pub"), program };
}

/** The answer to a given password, and the process that gave it. */
async function asked(port: number, given: string): Promise<{ pid: number; answer: string }> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`${given}\n`);
  const [, pid = "", answer = ""] = /^(\d+) (.*)\n$/.exec(await text(socket)) ?? [];
  return { pid: Number(pid), answer };
}

export class NativeService extends Running implements Vulnerable {
  port = 0;

  static readonly start = async (scene: Starter, options: NativeOptions = {}): Promise<NativeService> => {
    const { program = made().program ?? "" } = options;
    const service = new NativeService(scene.startProgram([program], options), options.place);
    service.port = await until(
      "the service listens",
      () => Number(/ listens on (\d+)\n/.exec(service.said)?.[1] ?? 0) || false,
    );
    return service;
  };

  /** An empty password, and the right one, which must always do. */
  async hole(): Promise<string> {
    const rightful = await asked(this.port, "correct horse");
    assert.deepEqual(rightful, { pid: this.pid, answer: "the secret" });
    const { pid, answer } = await asked(this.port, "");
    assert.equal(pid, this.pid);
    return answer === "the secret" ? "open" : "closed";
  }

  /** Has the process execute its program anew; it goes on listening where it did. */
  async execute(): Promise<void> {
    assert.equal((await asked(this.port, "execute")).pid, this.pid);
    await until("it listens anew", () => this.said.split(" listens on ").length > 2);
  }

  /** Has it serve one client by a child, which stays; the child's id, and whether its hole is open. */
  async holeInChild(): Promise<{ pid: number; hole: string }> {
    const { pid, answer } = await asked(this.port, "fork ");
    assert.notEqual(pid, this.pid);
    return { pid, hole: answer === "the secret" ? "open" : "closed" };
  }
}

export interface NativeOptions extends StartOptions {
  /** Another one than the hotpatch is for. */
  readonly program?: string;
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { isRefused, thereAndBack } from "../drive.ts";
import type { Scene } from "../scene.ts";

const tracer = (pid: number): string | undefined =>
  /^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  const gdb = spawn("gdb", ["-q", "-nx", "-p", String(scene.pid), "-ex", "continue"], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  try {
    await scene.waitUntil(() => tracer(scene.pid) !== "0");
    isRefused(await scene.process("apply"), "target/debugger-attached", /gdb \(PID \d+\)/);
  } finally {
    gdb.kill("SIGKILL");
    await once(gdb, "exit");
  }
  await scene.waitUntil(() => tracer(scene.pid) === "0");
  await scene.runs("old", "without gdb");
  await thereAndBack(scene, first);
}

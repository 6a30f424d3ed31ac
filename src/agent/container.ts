/** Which container a process is in, by the control groups that runtimes put theirs into (cgroups(7), /proc/PID/cgroup). */
import type { ProcessContainer } from "./facts.ts";

/** By the name of the scope or folder that each makes: `docker-ID.scope`, `/docker/ID`, `cri-containerd-ID.scope`, `libpod-ID.scope`, `lxc.payload.NAME`. */
const runtimes: readonly (readonly [pattern: RegExp, runtime: string])[] = [
  [/\/docker[-/]([0-9a-f]{64})(?:\.scope)?(?:\/|$)/m, "docker"],
  [/\/libpod-([0-9a-f]{64})(?:\.scope)?(?:\/|$)/m, "podman"],
  [/\/cri-containerd-([0-9a-f]{64})(?:\.scope)?(?:\/|$)/m, "containerd"],
  [/\/crio-([0-9a-f]{64})(?:\.scope)?(?:\/|$)/m, "cri-o"],
  [/\/kubepods[^\n]*\/([0-9a-f]{64})(?:\/|$)/m, "kubernetes"],
  [/\/lxc(?:\.payload)?[./]([0-9A-Za-z_.-]{1,64})(?:\/|$)/m, "lxc"],
];

/** As the agent's own namespaces show the control groups of the process. */
export function containerOf(cgroup: string): { container?: ProcessContainer } {
  for (const [pattern, runtime] of runtimes) {
    const id = pattern.exec(cgroup)?.[1];
    if (id !== undefined) return { container: { id: /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id, runtime } };
  }
  return {};
}

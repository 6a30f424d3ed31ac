/** What the command line says of a rollout, as the contract has it, and back. */
import {
  type ErrorThreshold,
  type Pace,
  type Rollout,
  type RolloutPreview,
  type RolloutRing,
  rolloutLimits,
  rolloutSignals,
  type Share,
  thresholdActions,
} from "../../api/schemas/rollouts.ts";
import { RebootlessError } from "../../base/errors.ts";
import { printable, quoted } from "../../base/printable.ts";
import { instantOf, oneOf } from "../option-values.ts";
import { textTable } from "../text-table.ts";

function wrong(what: string, given: string): RebootlessError {
  return new RebootlessError("usage/arguments", `${what}, not ${quoted(given)}.`);
}

/** `10%` or `25`. Throws `usage/arguments`. */
export function shareOf(given: string, flag: string): Share {
  const [, digits = "", sign] = /^([1-9]\d{0,6})(%?)$/.exec(given) ?? [];
  const count = Number(digits);
  const most = sign === "%" ? 100 : rolloutLimits.devices;
  if (digits === "" || count > most) throw wrong(`${flag} takes a share such as 10% or a number of devices`, given);
  return sign === "%" ? { percent: count } : { devices: count };
}

/** `canary=1`, `early=10%`, `site=@GROUP`, and `rest` alone for the last. Throws `usage/arguments`. */
export function ringsOf(given: readonly string[], opens: readonly string[]): RolloutRing[] {
  const dates = new Map(
    opens.map((one) => {
      const [, name, at] = /^([^=]+)=(.+)$/.exec(one) ?? [];
      if (name === undefined) throw wrong("--opens takes NAME=TIME", one);
      return [name, instantOf(at, "--opens") ?? null];
    }),
  );
  const rings = given.map((one) => {
    const [, name = "", takes] = /^([^=]{1,60})(?:=(.+))?$/.exec(one) ?? [];
    if (name === "") throw wrong("--ring takes NAME=SHARE, NAME=@GROUP, or NAME for the last", one);
    const opensAt = dates.get(name) ?? null;
    dates.delete(name);
    if (takes === undefined) return { name, takes: null, opensAt };
    return { name, takes: takes.startsWith("@") ? { groupId: takes.slice(1) } : shareOf(takes, "--ring"), opensAt };
  });
  const [unknown] = dates.keys();
  if (unknown !== undefined) throw wrong("--opens names a ring of --ring", unknown);
  return rings;
}

/** `failed,crashed=2%:halt`. Throws `usage/arguments`. */
export function errorsOf(given: readonly string[]): ErrorThreshold[] {
  return given.map((one) => {
    const [, words, share, act] = /^([^=]+)=([^:]+):(.+)$/.exec(one) ?? [];
    if (words === undefined || share === undefined) throw wrong("--error takes SIGNALS=SHARE:ACTION", one);
    const signals = [...new Set(words.split(","))].flatMap((word) => oneOf(rolloutSignals, word, "--error") ?? []);
    const action = oneOf(thresholdActions, act, "--error") ?? "alert";
    return { signals, reaches: shareOf(share, "--error"), action };
  });
}

export function paceOf(rate: number | undefined, hours: number | undefined): Pace {
  if (rate !== undefined && hours !== undefined) {
    throw new RebootlessError("usage/arguments", "Say --rate or --hours, and not both.");
  }
  if (rate !== undefined) return { kind: "rate", devicesPerHour: rate };
  return hours === undefined ? { kind: "all" } : { kind: "duration", hours };
}

/** So that a person sees at a glance what is the matter. */
export function describedRollout({ title, id, state, reason, rings, ring, ...rollout }: Rollout): string {
  const rows = rings.map(({ name, devices, granted, succeeded, waiting, signals }, index) => {
    const against = Object.entries(signals).flatMap(([signal, count]) => (count === 0 ? [] : [`${signal} ${count}`]));
    const mark = index === ring && state !== "draft" ? "*" : "";
    return [mark, name, String(devices), String(granted), String(succeeded), String(waiting), against.join(", ")];
  });
  return [
    printable(`${title} (${id})`),
    printable(`${rollout.hotpatchId} for ${rollout.groupId}: ${state}${reason === "" ? "" : `: ${reason}`}`),
    ...(rollout.outcome === null ? [] : [`what was in place: ${rollout.outcome}`]),
    ...(rollout.verifyUntil === null ? [] : [`verifying until ${rollout.verifyUntil}`]),
    textTable(["", "RING", "DEVICES", "GRANTED", "SUCCEEDED", "WAITING", "AGAINST IT"], rows),
  ].join("\n");
}

export function describedPreview({ rings, blocks, devices, more }: RolloutPreview): string {
  const rows = rings.map(({ name, devices, ready }) => [name, String(devices), String(ready)]);
  const kept = devices.filter((one) => one.blocks.length > 0);
  const why = kept.map(({ deviceName, ring, blocks: [first] }) => [
    deviceName,
    ring,
    first?.code ?? "",
    first?.reason ?? "",
  ]);
  return [
    "Nothing was made. At this moment:",
    textTable(["RING", "DEVICES", "WOULD GET IT"], rows),
    ...(blocks.length === 0
      ? []
      : [
          textTable(
            ["KEPT OFF BY", "DEVICES"],
            blocks.map((b) => [b.code, String(b.devices)]),
          ),
        ]),
    ...(why.length === 0 ? [] : [textTable(["DEVICE", "RING", "CODE", "WHY"], why)]),
    ...(more === 0 ? [] : [`${more} devices more are not listed.`]),
  ].join("\n");
}

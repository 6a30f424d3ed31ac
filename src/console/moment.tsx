/** Instants in the viewer's own zone, with the exact time at hand. */
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";

const tickMs = 5_000;
const Now = createContext(0);

/** One clock for all instants of the page. */
export function NowProvider({ children }: { children: ReactNode }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), tickMs);
    return () => clearInterval(timer);
  }, []);
  return <Now value={now}>{children}</Now>;
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

export function ago(ms: number): string {
  for (const [unit, size] of units) if (ms >= size) return relative.format(-Math.floor(ms / size), unit);
  return "just now";
}

/** `clock` shows the time of day, `ago` how long it is since. */
export function Moment({ at, show }: { at: string; show: "clock" | "ago" }) {
  const now = useContext(Now);
  const then = new Date(at);
  const today = new Date(now).toDateString() === then.toDateString();
  const time = today ? clock.format(then) : `${day.format(then)}, ${clock.format(then)}`;
  return (
    <time dateTime={at} title={exact.format(then)}>
      {show === "clock" ? time : ago(Math.max(0, now - then.getTime()))}
    </time>
  );
}

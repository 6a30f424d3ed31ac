/**
 * An alarm for waits that could last for ever: while it is set, a blocking system call of this thread ends with EINTR now and then.
 *
 * A wait that blocks leaves its processor to the very thread that is waited for, which looks from time to time do not.
 * The alarm is a timer that signals this thread alone; the handler is a function of the C library that does nothing.
 */
import koffi from "koffi";
import { FixedBytes, sigaction, signalActionBytes } from "./system-calls.ts";

const c = koffi.load("libc.so.6");
const systemCall = c.func("syscall", "long", ["long", "long", "uintptr_t", "uintptr_t", "uintptr_t"]);

const call = { getThreadId: 186, timerCreate: 222, timerSetTime: 223 } as const;
const monotonic = 1;
/** A real-time signal that neither Node.js nor the C library uses. */
const signal = 50;
const notifyThread = 4;
const firstMs = 100;
const everyMs = 10;

type Alarm = { readonly timer: number } | "none";
let alarm: Alarm | undefined;
const never = new FixedBytes(32);
const often = new FixedBytes(32);

/** Makes the timer, so that setting it is one system call. */
export function prepareWaitAlarm(): void {
  alarm ??= createAlarm();
}

/** Whether it could be set; `clearWaitAlarm` is due then. */
export function setWaitAlarm(): boolean {
  prepareWaitAlarm();
  return setTimer(often);
}

export function clearWaitAlarm(): void {
  setTimer(never);
}

function setTimer({ address }: FixedBytes): boolean {
  if (alarm === undefined || alarm === "none") return false;
  return systemCall(call.timerSetTime, alarm.timer, 0, address, 0) === 0;
}

function createAlarm(): Alarm {
  if (!installHandler()) return "none";
  // struct sigevent: the signal, how it is sent, and to which thread.
  const event = new FixedBytes(64);
  event.buffer.writeInt32LE(signal, 8);
  event.buffer.writeInt32LE(notifyThread, 12);
  event.buffer.writeInt32LE(systemCall(call.getThreadId, 0, 0, 0, 0) as number, 16);
  const timer = new FixedBytes(8);
  if (systemCall(call.timerCreate, monotonic, event.address, timer.address, 0) !== 0) return "none";
  // struct itimerspec: the interval, then the first time.
  often.buffer.writeBigInt64LE(BigInt(everyMs) * 1_000_000n, 8);
  often.buffer.writeBigInt64LE(BigInt(firstMs) * 1_000_000n, 24);
  return { timer: timer.buffer.readInt32LE(0) };
}

/** Without SA_RESTART, which is what makes the call end. */
function installHandler(): boolean {
  let handler: number;
  try {
    handler = Number(c.func("dlsym", "uintptr_t", ["uintptr_t", "str"])(0, "abs"));
  } catch {
    // An older C library has it in another file; waiting is done by looking then.
    return false;
  }
  // The handler comes first, flags and mask are nought.
  const action = new FixedBytes(signalActionBytes);
  action.buffer.writeBigUInt64LE(BigInt(handler), 0);
  return handler !== 0 && sigaction(signal, action.address, 0);
}

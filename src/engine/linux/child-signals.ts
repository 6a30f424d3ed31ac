/**
 * Stops of traced threads without a signal for each.
 *
 * The kernel tells a tracer of every stop by SIGCHLD, and the handler that Node.js has for it runs in between, once for each thread that stops.
 * SA_NOCLDSTOP leaves them out (sigaction(2)); the end of a child is told as always.
 */
import koffi from "koffi";
import { FixedBytes } from "./system-calls.ts";

const sigaction = koffi.load("libc.so.6").func("sigaction", "int", ["int", "uintptr_t", "uintptr_t"]);

const childSignal = 17;
const noChildStop = 1;
/** struct sigaction of the C library: the handler, 128 bytes of mask, the flags. */
const action = new FixedBytes(152);
const flagsOffset = 136;

/** To be called before each stop: Node.js sets its handler anew when it starts a child. */
export function leaveOutStops(): void {
  if (sigaction(childSignal, 0, action.address) !== 0) return;
  const flags = action.buffer.readInt32LE(flagsOffset);
  if ((flags & noChildStop) !== 0) return;
  action.buffer.writeInt32LE(flags | noChildStop, flagsOffset);
  sigaction(childSignal, action.address, 0);
}

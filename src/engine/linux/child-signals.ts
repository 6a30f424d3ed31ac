/**
 * Stops of traced threads without a signal for each.
 *
 * The kernel tells a tracer of every stop by SIGCHLD, and the handler that Node.js has for it runs in between, once for each thread that stops.
 * SA_NOCLDSTOP leaves them out (sigaction(2)); the end of a child is told as always.
 */
import { FixedBytes, sigaction, signalActionBytes } from "./system-calls.ts";

const childSignal = 17;
const noChildStop = 1;
const action = new FixedBytes(signalActionBytes);
/** Behind the handler and 128 bytes of mask. */
const flagsOffset = 136;

/** To be called before each stop: Node.js sets its handler anew when it starts a child. */
export function leaveOutStops(): void {
  if (!sigaction(childSignal, 0, action.address)) return;
  const flags = action.buffer.readInt32LE(flagsOffset);
  if ((flags & noChildStop) !== 0) return;
  action.buffer.writeInt32LE(flags | noChildStop, flagsOffset);
  sigaction(childSignal, action.address, 0);
}

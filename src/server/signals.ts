/**
 * Wake-ups: whoever waits in this process for something is told that it may have changed, and looks again.
 *
 * A signal carries nothing and may come in vain; what counts is in the database.
 */
export class Signals {
  readonly #waiting = new Map<string, Set<() => void>>();
  #closed = false;
  #count = 0;

  /** How many wait at the moment. */
  get count(): number {
    return this.#count;
  }

  /** How many wait for this. */
  countOf(name: string): number {
    return this.#waiting.get(name)?.size ?? 0;
  }

  send(name: string): void {
    for (const wake of this.#waiting.get(name) ?? []) wake();
  }

  /** Wakes everybody, since some signal may have been missed. */
  sendAll(): void {
    for (const name of [...this.#waiting.keys()]) this.send(name);
  }

  /** Ends all waiting, now and in future. */
  close(): void {
    this.#closed = true;
    this.sendAll();
  }

  /** From now on, signals of that name are noted; subscribe before looking, so that none is missed. `gone` ends the waiting. */
  subscribe(name: string, gone: AbortSignal): Subscription {
    const subscription = new Subscription({
      closed: () => this.#closed || gone.aborted,
      leave: () => {
        gone.removeEventListener("abort", subscription.wake);
        this.#waiting.get(name)?.delete(subscription.wake);
        if (this.#waiting.get(name)?.size === 0) this.#waiting.delete(name);
        this.#count -= 1;
      },
    });
    gone.addEventListener("abort", subscription.wake);
    const set = this.#waiting.get(name) ?? new Set();
    set.add(subscription.wake);
    this.#waiting.set(name, set);
    this.#count += 1;
    return subscription;
  }
}

interface Ways {
  closed(): boolean;
  leave(): void;
}

export class Subscription {
  readonly #ways: Ways;
  #noted = false;
  #resume: (() => void) | undefined;

  constructor(ways: Ways) {
    this.#ways = ways;
  }

  readonly wake = (): void => {
    this.#noted = true;
    this.#resume?.();
  };

  /** Waits for a signal since the last call, at most so long; `closed` means that waiting again makes no sense. */
  async next(timeoutMs: number): Promise<"signal" | "timeout" | "closed"> {
    if (!this.#noted && !this.#ways.closed()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#resume = undefined;
    }
    if (this.#ways.closed()) return "closed";
    if (!this.#noted) return "timeout";
    this.#noted = false;
    return "signal";
  }

  end(): void {
    this.#ways.leave();
  }
}

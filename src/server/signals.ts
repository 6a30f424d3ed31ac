/**
 * Wake-ups inside the process: whoever waits for something is told that it may have changed, and looks again.
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

  send(name: string): void {
    for (const wake of this.#waiting.get(name) ?? []) wake();
  }

  /** Ends all waiting, now and in future. */
  close(): void {
    this.#closed = true;
    for (const name of this.#waiting.keys()) this.send(name);
  }

  /** From now on, signals of that name are noted; subscribe before looking, so that none is missed. */
  subscribe(name: string): Subscription {
    const subscription = new Subscription(
      () => this.#closed,
      (wake) => {
        this.#waiting.get(name)?.delete(wake);
        if (this.#waiting.get(name)?.size === 0) this.#waiting.delete(name);
        this.#count -= 1;
      },
    );
    const set = this.#waiting.get(name) ?? new Set();
    set.add(subscription.wake);
    this.#waiting.set(name, set);
    this.#count += 1;
    return subscription;
  }
}

export class Subscription {
  readonly #closed: () => boolean;
  readonly #leave: (wake: () => void) => void;
  #noted = false;
  #resume: (() => void) | undefined;

  constructor(closed: () => boolean, leave: (wake: () => void) => void) {
    this.#closed = closed;
    this.#leave = leave;
  }

  readonly wake = (): void => {
    this.#noted = true;
    this.#resume?.();
  };

  /** Waits for a signal since the last call, at most so long; answers whether to go on waiting afterwards makes sense. */
  async next(timeoutMs: number, gone: AbortSignal): Promise<"signal" | "timeout" | "closed"> {
    if (!this.#noted && !this.#closed() && !gone.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        gone.addEventListener("abort", () => resolve(), { once: true });
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#resume = undefined;
    }
    if (this.#closed() || gone.aborted) return "closed";
    if (!this.#noted) return "timeout";
    this.#noted = false;
    return "signal";
  }

  end(): void {
    this.#leave(this.wake);
  }
}

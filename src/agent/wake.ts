/** Waiting that somebody can end early: a wake-up that comes while nobody waits is kept for the next one who does. */
export class Wake {
  #isAwake = false;
  #resume: (() => void) | undefined;

  wake(): void {
    this.#isAwake = true;
    this.#resume?.();
  }

  /** Ends after so many milliseconds, with `wake`, or with the signal. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isAwake && !signal.aborted) {
      await new Promise<void>((resolve) => {
        // Each way out leaves nothing behind: a listener that stayed would stand in the way of later waits.
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", end);
          resolve();
        };
        const timer = setTimeout(end, ms);
        this.#resume = end;
        signal.addEventListener("abort", end);
      });
      this.#resume = undefined;
    }
    this.#isAwake = false;
  }
}

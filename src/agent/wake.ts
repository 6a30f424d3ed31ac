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
        const timer = setTimeout(resolve, ms);
        this.#resume = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", this.#resume as () => void);
          resolve();
        };
        signal.addEventListener("abort", this.#resume, { once: true });
      });
      this.#resume = undefined;
    }
    this.#isAwake = false;
  }
}

/**
 * How often one address may try something that a guesser would try.
 *
 * A count for each address in windows of a minute; what is kept is bounded, and when too many addresses come at once all the unknown ones share one count.
 */
const windowMs = 60_000;
const maxAddresses = 10_000;
const everybodyElse = "";

export class RateLimit {
  readonly #perMinute: number;
  readonly #clock: () => Date;
  #window = 0;
  #counts = new Map<string, number>();

  constructor(perMinute: number, clock: () => Date) {
    this.#perMinute = perMinute;
    this.#clock = clock;
  }

  /** Counts one attempt; false when it is one too many. */
  allows(address: string): boolean {
    const window = Math.floor(this.#clock().getTime() / windowMs);
    if (window !== this.#window) {
      this.#window = window;
      this.#counts = new Map();
    }
    const key = this.#counts.has(address) || this.#counts.size < maxAddresses ? address : everybodyElse;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return count <= this.#perMinute;
  }
}

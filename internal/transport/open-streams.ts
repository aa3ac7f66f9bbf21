// The request streams of a connection that are open now, and the wait until there are none. Every transport counts them so.

export class OpenStreams {
  #count = 0;
  #idle: (() => void) | undefined;

  get count(): number {
    return this.#count;
  }

  opened(): void {
    this.#count += 1;
  }

  /** Call once for each `opened`. A property, so that one listener serves all streams. */
  readonly closed = (): void => {
    this.#count -= 1;
    if (this.#count === 0) this.#idle?.();
  };

  /** Settles when none is open, when `stop` is called, or after `timeoutMs`. */
  untilNone(timeoutMs: number): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise(resolve => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#idle = () => {
        clearTimeout(timer);
        this.#idle = undefined;
        resolve();
      };
    });
  }

  /** The connection has ended: nobody waits for its streams any more. */
  stop(): void {
    this.#idle?.();
  }
}

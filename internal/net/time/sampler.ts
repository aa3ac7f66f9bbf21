// Things that are looked at now and then instead of being timed one by one: nothing is paid where they are used, and one timer
// serves them all. It runs while there are any, and does not keep the process alive.

export class Sampler<K, V> {
  readonly #everyMs: number;
  readonly #look: (key: K, value: V, nowMs: number) => void;
  readonly #things = new Map<K, V>();
  #timer: NodeJS.Timeout | undefined;

  /** `look` is called for each of them every `everyMs`, with milliseconds of `performance.now()`; it may delete any. */
  constructor(everyMs: number, look: (key: K, value: V, nowMs: number) => void) {
    this.#everyMs = Math.max(1, everyMs);
    this.#look = look;
  }

  /** Adds or replaces. */
  set(key: K, value: V): void {
    this.#things.set(key, value);
    this.#timer ??= setInterval(() => this.#sample(), this.#everyMs).unref();
  }

  delete(key: K): void {
    this.#things.delete(key);
    if (this.#things.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sample(): void {
    const nowMs = performance.now();
    for (const [key, value] of this.#things) this.#look(key, value, nowMs);
  }
}

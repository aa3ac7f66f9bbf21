// Idle timers for thousands of flows with one timer of Node: a wheel of slots. Activity only stores a time; an entry
// whose slot comes up is either idle or put into the slot of its new deadline. Owns no flow.

/** A flow that ends when nothing happened for a while. */
export interface IdleEntry {
  /** Time of the last activity on the wheel's clock; written by the flow, per packet. */
  lastActiveMs: number;
  readonly idleMs: number;
  /** Nothing happened for `idleMs`; the entry has left the wheel. Must not throw. */
  idled(): void;
}

/** An entry expires between `idleMs` and `idleMs` + one tick after its last activity. */
export class IdleWheel {
  readonly #tickMs: number;
  readonly #now: () => number;
  readonly #slots: Set<IdleEntry>[];
  readonly #slotOf = new Map<IdleEntry, Set<IdleEntry>>();
  #timer: NodeJS.Timeout | undefined;
  /** Number of the last tick that was worked through. */
  #tick = 0;

  /**
   * @param options.tickMs 250 by default: idle times are seconds to minutes, so a quarter of a second is exact enough,
   *   and four wake-ups a second while flows exist cost nothing
   * @param options.now milliseconds of a clock that never goes back
   */
  constructor(options: { readonly tickMs?: number; readonly now?: () => number } = {}) {
    this.#tickMs = options.tickMs ?? 250;
    this.#now = options.now ?? (() => performance.now());
    // 1,024 slots of 250 ms hold the default idle time of 210 s in one turn; longer ones go round.
    this.#slots = Array.from({ length: 1024 }, () => new Set());
  }

  get size(): number {
    return this.#slotOf.size;
  }

  now(): number {
    return this.#now();
  }

  /** Starts watching; `lastActiveMs` must be set. Adding again moves the entry to the slot of its present deadline. */
  add(entry: IdleEntry): void {
    if (this.#slotOf.size === 0) this.#start();
    this.#slotOf.get(entry)?.delete(entry);
    this.#place(entry);
  }

  /** Stops watching; harmless when not watched. */
  remove(entry: IdleEntry): void {
    this.#slotOf.get(entry)?.delete(entry);
    this.#slotOf.delete(entry);
    if (this.#slotOf.size === 0) this.#stop();
  }

  #place(entry: IdleEntry): void {
    const due = Math.ceil((entry.lastActiveMs + entry.idleMs) / this.#tickMs);
    // Never into the slot being worked through, never further than one turn.
    const tick = Math.min(Math.max(due, this.#tick + 1), this.#tick + this.#slots.length - 1);
    const slot = this.#slotAt(tick);
    slot.add(entry);
    this.#slotOf.set(entry, slot);
  }

  #slotAt(tick: number): Set<IdleEntry> {
    const slot = this.#slots[tick % this.#slots.length];
    if (slot === undefined) throw new RangeError(`No slot for tick ${tick}`);
    return slot;
  }

  #start(): void {
    this.#tick = Math.floor(this.#now() / this.#tickMs);
    this.#timer = setInterval(() => this.#turn(), this.#tickMs);
    this.#timer.unref();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #turn(): void {
    const nowMs = this.#now();
    const last = Math.floor(nowMs / this.#tickMs);
    // After a long sleep of the machine one whole turn looks at every entry.
    this.#tick = Math.max(this.#tick, last - this.#slots.length);
    while (this.#tick < last && this.#slotOf.size > 0) {
      this.#tick += 1;
      for (const entry of [...this.#slotAt(this.#tick)]) this.#visit(entry, nowMs);
    }
    this.#tick = last;
  }

  #visit(entry: IdleEntry, nowMs: number): void {
    const slot = this.#slotOf.get(entry);
    // An earlier entry of this turn may have ended this one.
    if (slot === undefined) return;
    slot.delete(entry);
    if (nowMs < entry.lastActiveMs + entry.idleMs) {
      this.#place(entry);
      return;
    }
    this.remove(entry);
    entry.idled();
  }
}

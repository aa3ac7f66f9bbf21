// How many flows began, ended and were denied, and what they carried, for a scrape.

import type { FlowDenialReason, FlowEndReason, FlowEvent, FlowProtocol, OnRamp } from './flow.ts';
import type { FlowTracker } from './flow-tracker.ts';

/** Flows of one on-ramp and protocol. Counts only rise, but for `active`. */
export interface FlowCount {
  readonly onRamp: OnRamp;
  readonly protocol: FlowProtocol;
  active: number;
  started: number;
  readonly ended: Partial<Record<FlowEndReason, number>>;
  /** Of ended flows. */
  bytesUp: number;
  bytesDown: number;
}

export interface DenialCount {
  readonly onRamp: OnRamp;
  readonly reason: FlowDenialReason;
  count: number;
}

export class FlowCounts implements Disposable {
  readonly #tracker: FlowTracker;
  readonly #flows = new Map<string, FlowCount>();
  readonly #denials = new Map<string, DenialCount>();
  readonly #unsubscribe: () => void;

  /** Counts from now on. */
  constructor(tracker: FlowTracker) {
    this.#tracker = tracker;
    this.#unsubscribe = tracker.subscribe(event => this.#count(event));
  }

  /** One entry for each on-ramp and protocol that had a flow. */
  flows(): readonly FlowCount[] {
    return [...this.#flows.values()];
  }

  denials(): readonly DenialCount[] {
    return [...this.#denials.values()];
  }

  /** `flows`, with the bytes of those in progress counted in. Looks at every flow. */
  withBytesSoFar(): readonly FlowCount[] {
    const sums = new Map([...this.#flows].map(([key, count]) => [key, { ...count }]));
    for (const { onRamp, protocol, bytes } of this.#tracker.active()) {
      const sum = sums.get(`${onRamp} ${protocol}`);
      if (sum === undefined) continue;
      sum.bytesUp += bytes.up;
      sum.bytesDown += bytes.down;
    }
    return [...sums.values()];
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #count(event: FlowEvent): void {
    if (event.kind === 'denied') {
      const { reason } = event;
      const { onRamp } = event.subject;
      const key = `${onRamp} ${reason}`;
      const denial = this.#denials.get(key) ?? { onRamp, reason, count: 0 };
      denial.count += 1;
      this.#denials.set(key, denial);
      return;
    }
    const { onRamp, protocol, bytes } = event.flow;
    const key = `${onRamp} ${protocol}`;
    let count = this.#flows.get(key);
    if (count === undefined) {
      count = { onRamp, protocol, active: 0, started: 0, ended: {}, bytesUp: 0, bytesDown: 0 };
      this.#flows.set(key, count);
    }
    if (event.kind === 'started') {
      count.active += 1;
      count.started += 1;
      return;
    }
    count.active -= 1;
    count.ended[event.reason] = (count.ended[event.reason] ?? 0) + 1;
    count.bytesUp += bytes.up;
    count.bytesDown += bytes.down;
  }
}

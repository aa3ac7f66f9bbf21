// Reads many streams at the slow rate, with one timer for all of them.

import type { Readable } from 'node:stream';
import { slowBytesPerSecond } from './slow-case.ts';

/** Ten reads a second are smooth enough, and 5,000 a second for 500 streams cost little. */
const tickMs = 100;
const bytesPerTick = (slowBytesPerSecond * tickMs) / 1_000;

export class SlowReading {
  /** Bytes read so far. */
  bytes = 0;
  readonly #streams = new Set<Readable>();
  #timer: NodeJS.Timeout | undefined;

  /** The stream must be paused and stay without a 'data' listener; it leaves when it closes. */
  add(stream: Readable): void {
    this.#streams.add(stream);
    this.#timer ??= setInterval(this.#tick, tickMs);
    stream.once('close', () => {
      this.#streams.delete(stream);
      if (this.#streams.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
  }

  readonly #tick = (): void => {
    for (const stream of this.#streams) {
      const chunk: Buffer | null = stream.read(bytesPerTick);
      this.bytes += chunk?.length ?? 0;
    }
  };
}

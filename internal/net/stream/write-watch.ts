// Notices streams whose reader takes nothing: `--write-stream-timeout` of the connector (docs/protocol/edge-protocol.md
// §4.1, docs/protocol/ingress-and-origin.md §11), and visitors of the edge. A stream counts as stuck while its writer
// has been told to wait, or has ended and not all is out, and no write is done meanwhile; sampled, so that a write
// costs nothing.

import type { Writable } from 'node:stream';
import { Sampler } from '../time/sampler.ts';

interface Watched {
  readonly onStuck: () => void;
  /** When it was first seen stuck as it is now, in milliseconds of `performance.now()`. */
  sinceMs: number | undefined;
  /** Bytes that waited then. */
  waiting: number;
}

/** Looked at so many times within the time-out: a stream is given up a quarter late at most. */
const samples = 4;

export class WriteWatch {
  readonly #timeoutMs: number;
  readonly #streams: Sampler<Writable, Watched>;

  /** `timeoutMs` above 0. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#streams = new Sampler(timeoutMs / samples, (stream, watched, nowMs) => this.#look(stream, watched, nowMs));
  }

  /** Calls `onStuck` at most once, until `stream` closes; the callee ends the stream. */
  watch(stream: Writable, onStuck: () => void): void {
    const watched: Watched = { onStuck, sinceMs: undefined, waiting: 0 };
    this.#streams.set(stream, watched);
    stream.on('drain', () => {
      watched.sinceMs = undefined;
    });
    stream.once('close', () => this.forget(stream));
  }

  /** Watches it no longer. */
  forget(stream: Writable): void {
    this.#streams.delete(stream);
  }

  #look(stream: Writable, watched: Watched, nowMs: number): void {
    const waiting = stream.writableLength;
    const isStuck = stream.writableNeedDrain || (stream.writableEnded && waiting > 0);
    if (!isStuck) watched.sinceMs = undefined;
    else if (watched.sinceMs === undefined || watched.waiting !== waiting) {
      watched.sinceMs = nowMs;
      watched.waiting = waiting;
    } else if (nowMs - watched.sinceMs >= this.#timeoutMs) {
      this.forget(stream);
      watched.onStuck();
    }
  }
}

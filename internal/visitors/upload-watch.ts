// Visitors that announced a body and send nothing of it: each holds a stream of a connector and a connection of the origin,
// so they get a bounded time between two pieces. Sampled, so that a piece costs an increment.

import type { Readable } from 'node:stream';

interface Watched {
  readonly idleMs: number;
  readonly onIdle: () => void;
  /** Pieces since it was last looked at. */
  pieces: number;
  /** Since when nothing came although it could, in milliseconds of `performance.now()`. */
  sinceMs: number;
}

/** Looked at so many times within the shortest time: an upload is given up a quarter late at most. */
const samples = 4;

export class UploadWatch {
  readonly #sampleMs: number;
  readonly #bodies = new Map<Readable, Watched>();
  #timer: NodeJS.Timeout | undefined;

  /** `shortestMs`: of the times that `watch` will be given. */
  constructor(shortestMs: number) {
    this.#sampleMs = Math.max(1, shortestMs / samples);
  }

  /**
   * Calls `onIdle`, once, when nothing of `body` came for `idleMs` although its reader wanted more. Call when reading
   * begins; it ends with the body, or with `forget`.
   */
  watch(body: Readable, idleMs: number, onIdle: () => void): void {
    const watched: Watched = { idleMs, onIdle, pieces: 0, sinceMs: performance.now() };
    this.#bodies.set(body, watched);
    body
      .on('data', () => {
        watched.pieces += 1;
      })
      .once('end', () => this.forget(body))
      .once('close', () => this.forget(body));
    this.#timer ??= setInterval(this.#sample, this.#sampleMs).unref();
  }

  forget(body: Readable): void {
    this.#bodies.delete(body);
    if (this.#bodies.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  readonly #sample = (): void => {
    const nowMs = performance.now();
    for (const [body, watched] of this.#bodies) {
      // While the origin takes its time, the visitor may.
      if (watched.pieces > 0 || body.isPaused()) {
        watched.pieces = 0;
        watched.sinceMs = nowMs;
      } else if (nowMs - watched.sinceMs >= watched.idleMs) {
        this.forget(body);
        watched.onIdle();
      }
    }
  };
}

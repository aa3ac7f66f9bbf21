// Visitors that announced a body and send nothing of it: each holds a stream of a connector and a connection of the origin,
// so they get a bounded time between two pieces. Sampled, so that a piece costs an increment. While the origin holds an
// upload back nobody reads the visitor's socket, and its end stands behind bytes that nobody takes: a visitor who leaves then
// is never noticed, so the origin's time is bounded too.

import type { Readable } from 'node:stream';
import { Sampler } from '../net/time/sampler.ts';

/** Who did not do his part: sent nothing or left, or took nothing. */
export type Idler = 'visitor' | 'origin';

interface Watched {
  readonly idleMs: number;
  readonly onIdle: (who: Idler) => void;
  /** Pieces since it was last looked at. */
  pieces: number;
  /** Since when nothing came although it could, in milliseconds of `performance.now()`. */
  sinceMs: number;
  /** Since when it is held back, and no piece came. */
  heldSinceMs: number | undefined;
}

/** Looked at so many times within the shortest time: an upload is given up a quarter late at most. */
const samples = 4;

export class UploadWatch {
  readonly #heldMs: number;
  readonly #bodies: Sampler<Readable, Watched>;

  /** `shortestMs`: of the times that `watch` will be given; `heldMs`: how long an origin may take nothing of a body. */
  constructor(shortestMs: number, heldMs: number) {
    this.#heldMs = heldMs;
    this.#bodies = new Sampler(shortestMs / samples, (body, watched, nowMs) => this.#look(body, watched, nowMs));
  }

  /**
   * Calls `onIdle`, once: when nothing of `body` came for `idleMs` although its reader wanted more, or when it was held back
   * for `heldMs`. Call when reading begins; it ends with the body, or with `forget`.
   */
  watch(body: Readable, idleMs: number, onIdle: (who: Idler) => void): void {
    const watched: Watched = {
      idleMs,
      onIdle,
      pieces: 0,
      sinceMs: performance.now(),
      heldSinceMs: undefined,
    };
    this.#bodies.set(body, watched);
    body
      .on('data', () => {
        watched.pieces += 1;
      })
      .once('end', () => this.forget(body))
      .once('close', () => this.forget(body));
  }

  forget(body: Readable): void {
    this.#bodies.delete(body);
  }

  #look(body: Readable, watched: Watched, nowMs: number): void {
    if (watched.pieces > 0) {
      watched.pieces = 0;
      watched.sinceMs = nowMs;
      watched.heldSinceMs = undefined;
    } else if (body.isPaused()) {
      // While the origin takes its time, the visitor may.
      watched.sinceMs = nowMs;
      watched.heldSinceMs ??= nowMs;
      if (nowMs - watched.heldSinceMs >= this.#heldMs) this.#giveUp(body, watched, 'origin');
    } else if (nowMs - watched.sinceMs >= watched.idleMs) {
      this.#giveUp(body, watched, 'visitor');
    }
  }

  #giveUp(body: Readable, watched: Watched, who: Idler): void {
    this.forget(body);
    watched.onIdle(who);
  }
}

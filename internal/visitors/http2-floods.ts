// HTTP/2 visitors who make the edge work for nothing: resets of what they have just asked for (rapid reset), and frames that
// are no requests and carry none (WINDOW_UPDATE, heads that unpack to megabytes and are refused). nghttp2 answers some with
// GOAWAY and reads on, so the session is ended here. Source: RFC 9113 §10.5 (denial of service).

import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { createRateLimiter } from '../net/limits/rate-limiter.ts';
import { maxHeaderBytes } from './limits.ts';

/**
 * Streams that a session may have reset, at once and each second in the long run. A page that is left cancels what it has
 * open, 200 streams at most; nobody does that often.
 */
export const resetLimits = { burst: 500, perSecond: 30 };
/** A client that cancels as it goes: its requests wait for what else came with them, and cancelled ones are not made. */
const carefulFrom = 50;
/**
 * What a session may send beside bodies: at the start, each second, for each request, for each piece of a body, and as a
 * share of what it is sent, which it must acknowledge. Clients use a tenth of it, floods many times as much.
 */
const allowance = { start: 1 << 20, second: 16 * 1024, request: maxHeaderBytes, piece: 256, share: 1 / 4 };
const sampleMs = 250;

/** What one session did so far. */
export class SessionCost {
  readonly #socket: Socket;
  readonly #onFlood: () => void;
  readonly #sinceMs = performance.now();
  readonly #resets = createRateLimiter(resetLimits);
  #resetCount = 0;
  #requests = 0;
  #bodyBytes = 0;
  #pieces = 0;

  /** `onFlood` ends the session; `FloodWatch` looks at it until then. */
  constructor(socket: Socket, onFlood: () => void) {
    this.#socket = socket;
    this.#onFlood = onFlood;
  }

  /** Whether requests of this session should wait a turn, because many were cancelled. */
  get isCareful(): boolean {
    return this.#resetCount >= carefulFrom;
  }

  /** A request came. */
  count(stream: ServerHttp2Stream, hasBody: boolean): void {
    this.#requests += 1;
    stream.once('close', () => {
      if (stream.rstCode !== 0) this.#countReset();
    });
    if (!hasBody) return;
    // A listener for 'data' would start the flow; Node pushes every piece through here.
    const push = stream.push.bind(stream);
    stream.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
      this.#bodyBytes += chunk?.length ?? 0;
      this.#pieces += 1;
      return push(chunk, encoding);
    };
  }

  /** Whether it sent much more than its requests explain. */
  sample(nowMs: number): void {
    const { bytesRead, bytesWritten } = this.#socket;
    const allowed =
      allowance.start +
      ((nowMs - this.#sinceMs) / 1_000) * allowance.second +
      this.#requests * allowance.request +
      this.#pieces * allowance.piece +
      bytesWritten * allowance.share;
    if (bytesRead - this.#bodyBytes > allowed) this.#onFlood();
  }

  #countReset(): void {
    this.#resetCount += 1;
    if (!this.#resets.take('session')) this.#onFlood();
  }
}

/** Looks at all sessions of a listener now and then. */
export class FloodWatch {
  readonly #costs = new Set<SessionCost>();
  #timer: NodeJS.Timeout | undefined;

  watch(cost: SessionCost): void {
    this.#costs.add(cost);
    this.#timer ??= setInterval(() => {
      const nowMs = performance.now();
      for (const one of this.#costs) one.sample(nowMs);
    }, sampleMs).unref();
  }

  forget(cost: SessionCost): void {
    this.#costs.delete(cost);
    if (this.#costs.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

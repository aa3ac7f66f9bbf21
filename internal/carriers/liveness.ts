// Notices connectors that vanished without a word (killed, unplugged, suspended). Silence while requests wait makes a
// connection suspect: it gets no new requests while another is there, and those that may be repeated are tried elsewhere.
// A few seconds later it is given up. docs/liveness.md has the times.

import { PosternError } from '../errors/error.ts';
import type { ConnectorRegistry, RegisteredConnection } from './connector-registry.ts';

export interface LivenessOptions {
  readonly registry: ConnectorRegistry;
  /** Milliseconds of a clock that never jumps. Default: `performance.now`. */
  readonly now?: () => number;
}

/** How often is looked. */
export const lookMs = 250;
/** Silence after which the connector is asked for a word. */
export const askMs = 750;
/** Silence that makes a connection suspect: far above any round trip, and three losses of the question in a row. */
export const suspectMs = 2_000;
/** Silence that ends it. */
export const giveUpMs = 6_000;
/** A look that comes so much late says that this process stood still, not the connectors. */
const lateMs = 250;

interface Watched {
  receivedBytes: number;
  heardAtMs: number;
  asking: boolean;
}

export class Liveness implements Disposable {
  readonly #registry: ConnectorRegistry;
  readonly #now: () => number;
  readonly #watched = new Map<RegisteredConnection, Watched>();
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #lookedAtMs = 0;

  /** Follows the registry until it is disposed. */
  constructor({ registry, now = () => performance.now() }: LivenessOptions) {
    this.#registry = registry;
    this.#now = now;
    this.#unsubscribe = registry.subscribe(({ kind, registered }) => {
      if (kind === 'registered') this.#begin(registered);
      else this.#end(registered);
    });
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    clearInterval(this.#timer);
    this.#watched.clear();
  }

  /** Called by the timer. */
  look(): void {
    const nowMs = this.#now();
    const stoodStillMs = nowMs - this.#lookedAtMs - lookMs;
    this.#lookedAtMs = nowMs;
    for (const [registered, watched] of this.#watched) {
      if (stoodStillMs > lateMs) watched.heardAtMs += stoodStillMs;
      this.#lookAt(registered, watched, nowMs);
    }
  }

  #lookAt(registered: RegisteredConnection, watched: Watched, nowMs: number): void {
    const { connection } = registered;
    const isSuspect = this.#registry.isSuspect(registered);
    // Nothing is expected of a connection without requests: silence counts from the next one on.
    if (connection.openStreams === 0 && !isSuspect) {
      watched.heardAtMs = nowMs;
      return;
    }
    const receivedBytes = connection.stats().receivedBytes ?? 0;
    if (receivedBytes !== watched.receivedBytes) {
      watched.receivedBytes = receivedBytes;
      watched.heardAtMs = nowMs;
      if (isSuspect) this.#registry.trust(registered);
      return;
    }
    const silentMs = nowMs - watched.heardAtMs;
    if (silentMs >= giveUpMs) {
      const seconds = giveUpMs / 1_000;
      connection.abort(new PosternError('connection.lost', `The connector said nothing for ${seconds} s.`));
      return;
    }
    if (silentMs >= askMs && !watched.asking) this.#ask(registered, watched);
    if (silentMs >= suspectMs && !isSuspect) this.#registry.suspect(registered);
  }

  /** The answer shows as received bytes. */
  #ask({ connection }: RegisteredConnection, watched: Watched): void {
    watched.asking = true;
    const answered = (): void => {
      watched.asking = false;
    };
    connection.ping(giveUpMs).then(answered, answered);
  }

  #begin(registered: RegisteredConnection): void {
    const nowMs = this.#now();
    this.#watched.set(registered, { receivedBytes: -1, heardAtMs: nowMs, asking: false });
    if (this.#timer !== undefined) return;
    this.#lookedAtMs = nowMs;
    this.#timer = setInterval(() => this.look(), lookMs).unref();
  }

  #end(registered: RegisteredConnection): void {
    this.#watched.delete(registered);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

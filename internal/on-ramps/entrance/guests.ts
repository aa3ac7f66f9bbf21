// The clients that an API token let in, for as long as they are connected: when the token is revoked, by whichever edge on the
// store, or expires, their sockets are destroyed, and with them everything that they carry.

import type { Socket } from 'node:net';
import type { StoreChange } from '../../store/contract/changes.ts';
import type { ApiTokenRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';

/** Revoked tokens that are remembered for clients whose admission is under way: far more than there are in its time. */
const maxRevoked = 10_000;
/** Longest timer of Node. */
const maxTimerMs = 2 ** 31 - 1;
const retryMs = 1_000;

export interface GuestsOptions {
  readonly store: Pick<Store, 'accounts' | 'changes'>;
  readonly now: () => number;
  /** Hears that a token is good no more, before its clients' sockets are destroyed. */
  readonly onEnd: (tokenId: string) => void;
  /** Hears why tokens could not be looked at again; that is tried a second later. */
  readonly onError: (error: unknown) => void;
}

interface Held {
  readonly sockets: Set<Socket>;
  readonly expiresAtMs: number | undefined;
  timer: NodeJS.Timeout | undefined;
}

export class Guests implements Disposable {
  readonly #options: GuestsOptions;
  /** By token id. */
  readonly #held = new Map<string, Held>();
  readonly #revoked = new Set<string>();
  readonly #unsubscribe: () => void;
  #retry: NodeJS.Timeout | undefined;
  /** How often tokens of other edges may have changed: one read before the last such change may be revoked by now. */
  #resets = 0;

  constructor(options: GuestsOptions) {
    this.#options = options;
    this.#unsubscribe = options.store.changes.subscribe(change => this.#onChange(change));
  }

  /** Note it before a token is read, for `hold`. */
  get resets(): number {
    return this.#resets;
  }

  /** Whether the client may come in: false when the token, as it was read after `resets`, may be good no more. */
  hold({ id, expiresAtMs }: ApiTokenRecord, socket: Socket, resets: number): boolean {
    if (resets !== this.#resets || this.#revoked.has(id)) return false;
    const held = this.#held.get(id) ?? { sockets: new Set(), expiresAtMs, timer: undefined };
    this.#held.set(id, held);
    if (held.timer === undefined) this.#awaitExpiry(id, held);
    if (held.sockets.has(socket)) return true;
    held.sockets.add(socket);
    const leave = (): void => {
      held.sockets.delete(socket);
      if (held.sockets.size > 0 || this.#held.get(id) !== held) return;
      clearTimeout(held.timer);
      this.#held.delete(id);
    };
    if (socket.destroyed) leave();
    else socket.once('close', leave);
    return true;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    clearTimeout(this.#retry);
    for (const { timer } of this.#held.values()) clearTimeout(timer);
  }

  #onChange(change: StoreChange): void {
    if (change.kind === 'token-revoked') this.#end(change.tokenId);
    else if (change.kind === 'reset') {
      this.#resets += 1;
      this.#lookAgain();
    }
  }

  #end(id: string): void {
    const [oldest] = this.#revoked;
    if (this.#revoked.size >= maxRevoked && oldest !== undefined) this.#revoked.delete(oldest);
    this.#revoked.add(id);
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    clearTimeout(held.timer);
    this.#options.onEnd(id);
    for (const socket of held.sockets) socket.destroy();
  }

  /** Another edge on the store may have revoked some. */
  #lookAgain(): void {
    clearTimeout(this.#retry);
    const ids = [...this.#held.keys()];
    if (ids.length === 0) return;
    this.#options.store.accounts.knownTokens(ids).then(
      known => {
        for (const id of ids) if (!known.includes(id)) this.#end(id);
      },
      (error: unknown) => {
        this.#options.onError(error);
        this.#retry = setTimeout(() => this.#lookAgain(), retryMs);
        this.#retry.unref();
      },
    );
  }

  #awaitExpiry(id: string, held: Held): void {
    if (held.expiresAtMs === undefined) return;
    const leftMs = held.expiresAtMs - this.#options.now();
    held.timer = setTimeout(
      () => (leftMs > maxTimerMs ? this.#awaitExpiry(id, held) : this.#end(id)),
      Math.min(Math.max(leftMs, 0), maxTimerMs),
    );
    held.timer.unref();
  }
}

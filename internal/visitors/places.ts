// Places for connections of visitors: in all, for each address, and for those that have not sent a whole request yet, so
// that neither one address nor a crowd that says nothing leaves no room for others.

import type { Socket } from 'node:net';
import { plainAddress } from '../net/address/ip.ts';
import { AddressLimiter, type AddressLimits } from '../net/limits/address-limiter.ts';
import { countedAddress } from '../net/limits/rate-limiter.ts';

export interface PlaceLimits {
  readonly all: AddressLimits;
  /** Before the first request. */
  readonly silent: AddressLimits;
}

/** Why a connection was not taken. */
export type Refusal = 'full' | 'silent';

export class Places {
  readonly refused: Record<Refusal, number> = { full: 0, silent: 0 };
  readonly #all: AddressLimiter;
  readonly #silent: AddressLimiter;
  /** By the visitor's address and port: a TLS socket is not the socket below it. */
  readonly #unheard = new Map<string, () => void>();
  readonly #onRefused: (refusal: Refusal, address: string) => void;

  constructor(limits: PlaceLimits, onRefused: (refusal: Refusal, address: string) => void) {
    this.#all = new AddressLimiter(limits.all);
    this.#silent = new AddressLimiter(limits.silent);
    this.#onRefused = onRefused;
  }

  /** Takes a place until the socket closes; false when there is none: the socket was destroyed. */
  take(socket: Socket): boolean {
    const { remoteAddress } = socket;
    const leave = this.#all.admit(remoteAddress);
    const speak = leave === undefined ? undefined : this.#silent.admit(remoteAddress);
    if (leave === undefined || speak === undefined) {
      leave?.();
      const refusal = leave === undefined ? 'full' : 'silent';
      this.refused[refusal] += 1;
      socket.destroy();
      this.#onRefused(refusal, countedAddress(remoteAddress));
      return false;
    }
    const peer = peerOf(plainAddress(remoteAddress), socket.remotePort ?? 0);
    this.#unheard.set(peer, speak);
    socket.once('close', () => {
      leave();
      speak();
      if (this.#unheard.get(peer) === speak) this.#unheard.delete(peer);
    });
    return true;
  }

  /** A whole request came from there. */
  heard(remoteAddress: string, remotePort: number): void {
    const peer = peerOf(remoteAddress, remotePort);
    const speak = this.#unheard.get(peer);
    if (speak === undefined) return;
    this.#unheard.delete(peer);
    speak();
  }
}

function peerOf(address: string, port: number): string {
  return `${address} ${port}`;
}

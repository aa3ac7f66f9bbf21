// `--protocol auto`: QUIC where UDP gets through, HTTP/2 elsewhere, without flapping. States of QUIC on this network:
//
//   untried ─registered over QUIC→ good ─two losses soon after registering→ bad
//      └──raced out or failed→ bad ─two good trials in a row→ good (connections move, one at a time)
//
// Each return to bad doubles the time until the next trial. Source: spec edge-protocol §3.1, §3.5; the learning is ours.

import { isPosternError } from '../errors/error.ts';
import type { Protocol } from '../transport/transport.ts';
import type { ProtocolChoice, ProtocolPolicy } from './protocol-policy.ts';

export interface AutoProtocolOptions {
  /** Milliseconds of a clock that never jumps back. */
  readonly nowMs: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Told once for each change of mind, for the log. */
  readonly onChange: (text: string) => void;
}

/** A QUIC handshake takes two round trips; 1.5 s leaves room for a retransmission on a bad path, and nobody waits long. */
export const rivalAfterMs = 1_500;
/** First wait until QUIC is tried again; doubles with every relapse. */
export const firstTrialMs = 60_000;
const maxTrialMs = 60 * 60_000;
/** Between two good trials that together count as proof. */
const secondTrialMs = 15_000;
/** A QUIC connection lost within this time of registering counts against QUIC. */
const earlyLossMs = 60_000;
const strikesToBad = 2;
/** One connection moves in this time at most, so that a bad guess costs little. */
const moveGapMs = 10_000;

const raced: ProtocolChoice = { first: 'quic', rival: { protocol: 'http2', afterMs: rivalAfterMs } };
const plain: ProtocolChoice = { first: 'http2' };

export class AutoProtocol implements ProtocolPolicy {
  readonly #options: AutoProtocolOptions;
  readonly #registeredAtMs = new Map<number, number>();
  #quic: 'untried' | 'good' | 'bad' | 'unavailable' = 'untried';
  #strikes = 0;
  #relapses = 0;
  #goodTrials = 0;
  #trialAtMs = 0;
  #movedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: AutoProtocolOptions) {
    this.#options = options;
  }

  next(_connIndex: number): ProtocolChoice {
    return this.#quic === 'untried' || this.#quic === 'good' ? raced : plain;
  }

  registered(connIndex: number, protocol: Protocol): void {
    if (protocol === 'quic') {
      this.#registeredAtMs.set(connIndex, this.#options.nowMs());
      if (this.#quic === 'untried') this.#quic = 'good';
      return;
    }
    // HTTP/2 won the race: QUIC did not get through, or was much slower.
    if (this.#quic === 'untried' || this.#quic === 'good') this.#strike();
  }

  failed(connIndex: number, protocol: Protocol, error: unknown, wasRegistered: boolean): void {
    if (protocol !== 'quic') return;
    if (isPosternError(error, 'unavailable')) {
      if (this.#quic !== 'unavailable') this.#options.onChange('This build has no QUIC, using HTTP/2');
      this.#quic = 'unavailable';
      return;
    }
    const since = this.#options.nowMs() - (this.#registeredAtMs.get(connIndex) ?? Number.NEGATIVE_INFINITY);
    if (wasRegistered && since < earlyLossMs) this.#strike();
    else if (wasRegistered) this.#strikes = 0;
  }

  readonly trial = (): Protocol | undefined => {
    return this.#quic === 'bad' && this.#options.nowMs() >= this.#trialAtMs ? 'quic' : undefined;
  };

  tried(error: unknown): void {
    if (this.#quic !== 'bad') return;
    const now = this.#options.nowMs();
    if (error !== undefined) {
      this.#goodTrials = 0;
      this.#trialAtMs = now + this.#trialWaitMs();
      this.#relapses += 1;
      return;
    }
    this.#goodTrials += 1;
    this.#trialAtMs = now + secondTrialMs;
    if (this.#goodTrials < 2) return;
    this.#quic = 'good';
    this.#strikes = 0;
    this.#options.onChange('QUIC gets through again, moving connections to it');
  }

  target(): Protocol | undefined {
    const now = this.#options.nowMs();
    if (this.#quic !== 'good' || now - this.#movedAtMs < moveGapMs) return undefined;
    this.#movedAtMs = now;
    return 'quic';
  }

  #strike(): void {
    this.#strikes += 1;
    if (this.#quic === 'good' && this.#strikes < strikesToBad) return;
    this.#quic = 'bad';
    this.#strikes = 0;
    this.#goodTrials = 0;
    this.#trialAtMs = this.#options.nowMs() + this.#trialWaitMs();
    this.#relapses += 1;
    this.#options.onChange('Switching to fallback protocol http2');
  }

  /** Jittered by a quarter, so that connectors behind one firewall do not try together. */
  #trialWaitMs(): number {
    return Math.min(firstTrialMs * 2 ** this.#relapses, maxTrialMs) * (0.75 + 0.5 * this.#options.random());
  }
}

// `--protocol auto`: QUIC where UDP gets through, HTTP/2 elsewhere, without flapping. States of QUIC on this network:
//
//   untried ─registered over QUIC→ good ─two strikes, or a failed move→ bad
//      └──raced out→ bad ─two good trials in a row→ good (connections move, one at a time)
//
// A strike is a QUIC connection lost soon after registering, or a race that HTTP/2 won. Each return to bad makes the wait
// until the next trial four times as long. Source: docs/protocol/edge-protocol.md §3.1, §3.5; the learning is ours.

import { isPosternError } from '../../errors/error.ts';
import type { Protocol } from '../../transport/transport.ts';
import type { ProtocolChoice, ProtocolPolicy } from './protocol-policy.ts';

export interface AutoProtocolOptions {
  /** Milliseconds of a clock that never jumps back. */
  readonly nowMs: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** Whether the operator of the edge wants QUIC now; where not, nothing is tried over it. By default it does. */
  readonly wantsQuic?: (() => boolean) | undefined;
  /** Told once for each change of mind, for the log. */
  readonly onChange: (text: string) => void;
}

/** A QUIC handshake takes two round trips; 1.5 s leaves room for a retransmission on a bad path, and nobody waits long. */
export const rivalAfterMs = 1_500;
/** First wait until QUIC is tried again: a first race may be lost by bad luck. Four times as long with every relapse. */
export const firstTrialMs = 15_000;
const waitFactor = 4;
/** A trial is one handshake a connector: failing ones cost nothing at this pace. */
const maxTrialMs = 10 * 60_000;
/** A relapse cost connections: QUIC that keeps failing after good trials is believed once an hour. */
const maxRelapseMs = 60 * 60_000;
/** Between two good trials that together count as proof. */
const secondTrialMs = 10_000;
/** A QUIC connection lost within this time of registering counts against QUIC. */
const earlyLossMs = 60_000;
const strikesToBad = 2;
/** Connections share path and edge: what happens to several of them within this time is one strike. */
const sameEventMs = 10_000;
/** One connection moves in this time at most, so that a bad guess costs little. */
const moveGapMs = 10_000;
/** After a sleep or a change of network for this long, losses say nothing about QUIC. */
const changeGraceMs = 15_000;

const raced: ProtocolChoice = { first: 'quic', rival: { protocol: 'http2', afterMs: rivalAfterMs } };
const plain: ProtocolChoice = { first: 'http2' };

export class AutoProtocol implements ProtocolPolicy {
  readonly #options: AutoProtocolOptions;
  readonly #registeredAtMs = new Map<number, number>();
  #quic: 'untried' | 'good' | 'bad' | 'unavailable' = 'untried';
  #strikes = 0;
  #struckAtMs = Number.NEGATIVE_INFINITY;
  #relapses = 0;
  #failedTrials = 0;
  #goodTrials = 0;
  #trialAtMs = 0;
  #movedAtMs = Number.NEGATIVE_INFINITY;
  #needsHttp2 = (): boolean => false;
  #changedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: AutoProtocolOptions) {
    this.#options = options;
  }

  next(_connIndex: number): ProtocolChoice {
    return this.#wantsQuic() && (this.#quic === 'untried' || this.#quic === 'good') ? raced : plain;
  }

  registered(connIndex: number, protocol: Protocol): void {
    if (protocol === 'quic') {
      this.#registeredAtMs.set(connIndex, this.#options.nowMs());
      if (this.#quic === 'untried') this.#quic = 'good';
      return;
    }
    // HTTP/2 won the race: QUIC did not get through, or was much slower.
    if (!this.#wantsQuic()) return;
    if (this.#quic === 'untried') this.#relapse();
    else if (this.#quic === 'good') this.#strike();
  }

  failed(connIndex: number, protocol: Protocol, error: unknown, wasRegistered: boolean): void {
    if (protocol !== 'quic') return;
    if (isPosternError(error, 'unavailable')) {
      if (this.#quic !== 'unavailable') this.#options.onChange('This build has no QUIC, using HTTP/2');
      this.#quic = 'unavailable';
      return;
    }
    if (!wasRegistered) return;
    const now = this.#options.nowMs();
    const ageMs = now - (this.#registeredAtMs.get(connIndex) ?? Number.NEGATIVE_INFINITY);
    if (ageMs >= earlyLossMs) this.#strikes = 0;
    else if (this.#quic === 'good' && saysSomething(error) && now - this.#changedAtMs >= changeGraceMs) this.#strike();
    if (ageMs >= maxRelapseMs) this.#relapses = 0;
  }

  readonly trial = (): Protocol | undefined => {
    return this.#quic === 'bad' && this.#wantsQuic() && this.#options.nowMs() >= this.#trialAtMs ? 'quic' : undefined;
  };

  tried(error: unknown): void {
    const now = this.#options.nowMs();
    // A move to HTTP/2 says nothing about QUIC.
    if (this.#needsHttp2()) return;
    // A move failed while HTTP/2 reaches the edge: there is no better evidence against QUIC.
    if (this.#quic === 'good' && error !== undefined) this.#relapse();
    if (this.#quic !== 'bad') return;
    if (error !== undefined) {
      this.#goodTrials = 0;
      this.#failedTrials += 1;
      this.#trialAtMs = now + this.#trialWaitMs();
      return;
    }
    this.#goodTrials += 1;
    this.#trialAtMs = now + secondTrialMs;
    if (this.#goodTrials < 2) return;
    this.#quic = 'good';
    this.#strikes = 0;
    this.#failedTrials = 0;
    this.#options.onChange('QUIC gets through again, moving connections to it');
  }

  target(): Protocol | undefined {
    if (this.#options.nowMs() - this.#movedAtMs < moveGapMs) return undefined;
    return this.#needsHttp2() ? 'http2' : this.#quic === 'good' && this.#wantsQuic() ? 'quic' : undefined;
  }

  moving(): void {
    this.#movedAtMs = this.#options.nowMs();
  }

  keepHttp2While(needed: () => boolean): void {
    this.#needsHttp2 = needed;
  }

  machineChanged(): void {
    const now = this.#options.nowMs();
    this.#changedAtMs = now;
    this.#strikes = 0;
    // Another network may let UDP through: what was learned on the last one counts no more.
    this.#relapses = 0;
    this.#failedTrials = 0;
    if (this.#goodTrials === 0) this.#trialAtMs = now;
  }

  #wantsQuic(): boolean {
    return !this.#needsHttp2() && (this.#options.wantsQuic?.() ?? true);
  }

  #strike(): void {
    const now = this.#options.nowMs();
    if (now - this.#struckAtMs < sameEventMs) return;
    this.#struckAtMs = now;
    this.#strikes += 1;
    if (this.#strikes >= strikesToBad) this.#relapse();
  }

  #relapse(): void {
    this.#quic = 'bad';
    this.#strikes = 0;
    this.#goodTrials = 0;
    this.#failedTrials = 0;
    this.#trialAtMs = this.#options.nowMs() + this.#trialWaitMs();
    this.#relapses += 1;
    this.#options.onChange('Switching to fallback protocol http2');
  }

  /** Jittered by a quarter, so that connectors behind one firewall do not try together. */
  #trialWaitMs(): number {
    const waitMs =
      this.#failedTrials > 0
        ? Math.min(firstTrialMs * waitFactor ** this.#failedTrials, maxTrialMs)
        : Math.min(firstTrialMs * waitFactor ** this.#relapses, maxRelapseMs);
    return waitMs * (0.75 + 0.5 * this.#options.random());
  }
}

/** Whether the end of a connection may be the path's fault: not when the edge closed it or came up without knowing it. */
function saysSomething(error: unknown): boolean {
  return isPosternError(error, 'connection.lost') && error.details?.kind !== 'reset';
}

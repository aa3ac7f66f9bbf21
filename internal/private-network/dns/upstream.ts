// Queries over one UDP flow to a resolver inside a virtual network: ids of our own, so that clients cannot
// collide and answers cannot be guessed from outside; bounded in number, each with a deadline. Source: RFC 5452 §9.

import { randomInt } from 'node:crypto';
import type { OpenUdpFlow, UdpFlow } from '../flows/udp-flow.ts';
import type { AddressHost } from '../routes/private-host.ts';
import { answersQuestion, limitUdpSize, type QueryLayout, questionOf, readId, writeId } from './message.ts';

/** The resolver of a virtual network. */
export interface Resolver {
  readonly host: AddressHost;
  readonly port: number;
}

/**
 * What a query came to. `answered`: the resolver's message with the query's own id, valid during the call only;
 * `failed`: there is no way to the resolver now; `dropped`: no answer came in time, or too many queries wait.
 */
export type QueryOutcome =
  | { readonly kind: 'answered'; readonly message: Uint8Array }
  | { readonly kind: 'failed' }
  | { readonly kind: 'dropped' };

interface Waiting {
  readonly clientId: number;
  readonly question: string;
  readonly deadlineMs: number;
  readonly settle: (outcome: QueryOutcome) => void;
}

/** Queries of one flow that wait at once: a page of a browser asks for dozens. */
export const maxWaiting = 512;
/** Below the 5 s after which clients give up or repeat: they are told that there is no answer. */
const deadlineMs = 4_000;
/** Long enough for the next click, short enough that a network's clients do not hold many sessions. */
const idleMs = 30_000;
/** Largest answer a datagram of the tunnel carries for sure, and what the DNS community recommends (flag day 2020). */
const udpSizeLimit = 1232;

export class DnsUpstream {
  readonly #waiting = new Map<number, Waiting>();
  readonly #now: () => number;
  readonly #flow: UdpFlow;
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  /** Throws what `open` throws: 'flow.denied' and 'flow.limit'. `ended` is called once, when it takes no more queries. */
  constructor(open: OpenUdpFlow, ended: () => void, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#flow = open(idleMs, {
      hold: maxWaiting,
      payload: message => this.#answer(message),
      ended: end => {
        this.#closed = true;
        clearTimeout(this.#sweep);
        ended();
        const outcome: QueryOutcome = { kind: end.kind === 'idle' || end.kind === 'closed' ? 'dropped' : 'failed' };
        for (const [id, waiting] of this.#waiting) this.#settle(id, waiting, outcome);
      },
    });
  }

  /** Sends a query, which is changed (id, announced size) and not kept. `settle` is called exactly once. */
  ask(query: Uint8Array, layout: QueryLayout, settle: (outcome: QueryOutcome) => void): void {
    if (this.#closed || this.#waiting.size >= maxWaiting) {
      settle({ kind: this.#closed ? 'failed' : 'dropped' });
      return;
    }
    const clientId = readId(query);
    const question = questionOf(query, layout.questionEnd);
    const id = this.#freeId();
    limitUdpSize(query, layout, udpSizeLimit);
    writeId(query, id);
    if (!this.#flow.send(query)) {
      settle({ kind: 'dropped' });
      return;
    }
    this.#waiting.set(id, { clientId, question, deadlineMs: this.#now() + deadlineMs, settle });
    this.#sweep ??= setTimeout(() => this.#expire(), deadlineMs);
  }

  /** Drops what waits. Idempotent. */
  close(): void {
    this.#flow.close();
  }

  #freeId(): number {
    let id = randomInt(0x1_0000);
    while (this.#waiting.has(id)) id = (id + 1) & 0xffff;
    return id;
  }

  #answer(message: Uint8Array): void {
    if (message.length < 2) return;
    const id = readId(message);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || !answersQuestion(message, waiting.question)) return;
    writeId(message, waiting.clientId);
    this.#settle(id, waiting, { kind: 'answered', message });
  }

  /** Queries wait in the order of their deadlines, so one timer serves all. */
  #expire(): void {
    this.#sweep = undefined;
    const nowMs = this.#now();
    for (const [id, waiting] of this.#waiting) {
      if (waiting.deadlineMs > nowMs) {
        this.#sweep = setTimeout(() => this.#expire(), waiting.deadlineMs - nowMs + 1);
        return;
      }
      this.#settle(id, waiting, { kind: 'dropped' });
    }
  }

  #settle(id: number, waiting: Waiting, outcome: QueryOutcome): void {
    this.#waiting.delete(id);
    waiting.settle(outcome);
  }
}

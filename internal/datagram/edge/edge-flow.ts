// UDP flows at the edge: opened by an on-ramp, registered at a connector, moved to another connection when theirs dies,
// ended by the edge's own idle time. Source: docs/protocol/datagrams.md §4.4, §5.5 (what an edge has to do).
//
//   registering ──ok──▶ open ──lost──▶ moving ──▶ registering …
//        │ refused, no answer thrice     │ no connection within 5 s
//        └──────────────▶ ended ◀────────┘◀── idle, close(), ended by the connector

import { randomBytes } from 'node:crypto';
import type { IpBytes } from '../../net/address/ip.ts';
import { copyBytes } from '../../net/stream/copy-bytes.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { udpPayloadLimit } from '../../wire/datagram/datagram-problem.ts';
import type { IdleEntry, IdleWheel } from '../channel/idle-wheel.ts';
import type { EdgeMux, EdgeSession, RegisterOutcome } from './edge-mux.ts';

export type FlowEnd =
  | { readonly kind: 'idle' }
  /** By `close`. */
  | { readonly kind: 'closed' }
  /** By the connector: its socket failed, or its own idle time ran out. */
  | { readonly kind: 'connector'; readonly message: string }
  | { readonly kind: 'refused'; readonly message: string; readonly rateLimited: boolean }
  /** No connection serves the destination, or none answered. */
  | { readonly kind: 'unreachable' };

export interface FlowRequest {
  readonly address: IpBytes;
  readonly port: number;
  readonly idleMs: number;
  /** The connection to use, asked at the start and whenever the flow has to move; undefined = none now. */
  readonly route: () => EdgeMux | undefined;
  /** Payloads held while the flow is being registered. Default 16. */
  readonly waitingLimit?: number | undefined;
  /** One payload from the origin; the view is valid only during the call. Must not throw. */
  readonly payload: (payload: Uint8Array) => void;
  /** Exactly once. Must not throw. */
  readonly ended: (end: FlowEnd) => void;
}

export interface FlowCounters {
  active: number;
  total: number;
  moved: number;
  /** Payloads dropped while the flow was (or again was) being registered: its queue was full, or they were too large. */
  droppedWaiting: number;
}

/** Payloads held while a registration runs: a DNS or QUIC client's first flight, not a bulk sender's. */
const defaultWaitingLimit = 16;
const attemptsLimit = 3;
/**
 * The connector is asked for a longer idle time than the edge's own: the edge decides (docs/protocol/datagrams.md
 * §12 trap 7).
 */
const idleMarginMs = 5_000;
/** How often a flow without connection asks for one, and how often it may. */
const moveRetryMs = 250;
const moveRetryLimit = 20;
/** After this long without a word from the origin a sender's flow is registered again: v3 ends sessions silently. */
const silenceMs = 10_000;

/** All UDP flows of an edge. */
export class EdgeFlows {
  readonly counters: FlowCounters = { active: 0, total: 0, moved: 0, droppedWaiting: 0 };
  readonly #wheel: IdleWheel;
  readonly #log: Logger;
  readonly #flows = new Set<EdgeFlow>();

  constructor(options: { readonly wheel: IdleWheel; readonly log: Logger }) {
    this.#wheel = options.wheel;
    this.#log = options.log;
  }

  /** Opens a flow; it may take payloads at once. */
  open(request: FlowRequest): EdgeFlow {
    const flow = new EdgeFlow(this.#wheel, this.#log, this.counters, request, gone => this.#flows.delete(gone));
    this.#flows.add(flow);
    flow.start();
    return flow;
  }

  /** Ends all flows. */
  close(): void {
    for (const flow of this.#flows) flow.close();
  }
}

export class EdgeFlow implements EdgeSession, IdleEntry {
  readonly address: IpBytes;
  readonly port: number;
  readonly idleMs: number;
  readonly idleHintMs: number;
  id: Uint8Array = randomBytes(16);
  lastActiveMs: number;
  /** Payload bytes and datagrams so far: up = towards the origin. */
  bytesUp = 0;
  bytesDown = 0;
  datagramsUp = 0;
  datagramsDown = 0;
  readonly #wheel: IdleWheel;
  readonly #log: Logger;
  readonly #counters: FlowCounters;
  readonly #request: FlowRequest;
  readonly #gone: (flow: EdgeFlow) => void;
  #state: 'registering' | 'open' | 'moving' | 'ended' = 'registering';
  #mux: EdgeMux | undefined;
  #waiting: Uint8Array[] = [];
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Last word from the connector, or last question to it. */
  #heardMs = 0;

  constructor(
    wheel: IdleWheel,
    log: Logger,
    counters: FlowCounters,
    request: FlowRequest,
    gone: (flow: EdgeFlow) => void,
  ) {
    this.#wheel = wheel;
    this.#log = log;
    this.#counters = counters;
    this.#request = request;
    this.#gone = gone;
    this.address = request.address;
    this.port = request.port;
    this.idleMs = request.idleMs;
    this.idleHintMs = request.idleMs + idleMarginMs;
    this.lastActiveMs = wheel.now();
  }

  /** The connection the flow is on now. */
  get connection(): EdgeMux | undefined {
    return this.#mux;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Called by `EdgeFlows.open`. */
  start(): void {
    this.#counters.active += 1;
    this.#counters.total += 1;
    this.#wheel.add(this);
    const mux = this.#request.route();
    // Not within this call: the caller has no flow yet to be told about.
    if (mux === undefined) this.#timer = setTimeout(() => this.#end({ kind: 'unreachable' }), 0);
    else this.#registerAt(mux);
  }

  /** Sends one payload towards the origin (copied if it has to wait); false when it was dropped and counted. */
  send(payload: Uint8Array): boolean {
    if (this.#state === 'ended') return false;
    const nowMs = this.#wheel.now();
    this.lastActiveMs = nowMs;
    if (this.#state !== 'open' || this.#mux === undefined) return this.#wait(payload);
    if (nowMs - this.#heardMs > silenceMs) {
      this.#heardMs = nowMs;
      this.#mux.refresh(this);
    }
    return this.#sendNow(this.#mux, payload);
  }

  /** Ends the flow; `ended` is called. Idempotent. */
  close(): void {
    this.#end({ kind: 'closed' });
  }

  registered(outcome: RegisterOutcome): void {
    if (this.#state !== 'registering' || this.#mux === undefined) return;
    switch (outcome.kind) {
      case 'ok': {
        this.#state = 'open';
        this.#attempts = 0;
        this.#heardMs = this.#wheel.now();
        const waiting = this.#waiting;
        this.#waiting = [];
        for (const payload of waiting) this.#sendNow(this.#mux, payload);
        return;
      }
      case 'refused':
        this.#mux = undefined;
        this.#end(outcome);
        return;
      case 'no-answer':
        this.#mux = undefined;
        this.#attempts += 1;
        if (this.#attempts >= attemptsLimit) this.#end({ kind: 'unreachable' });
        else this.#move(0);
    }
  }

  payload(payload: Uint8Array): void {
    this.#heardMs = this.#wheel.now();
    this.lastActiveMs = this.#heardMs;
    this.bytesDown += payload.length;
    this.datagramsDown += 1;
    this.#request.payload(payload);
  }

  ended(message: string): void {
    this.#mux = undefined;
    this.#end({ kind: 'connector', message });
  }

  lost(): void {
    this.#mux = undefined;
    this.#move(0);
  }

  idled(): void {
    this.#end({ kind: 'idle' });
  }

  #sendNow(mux: EdgeMux, payload: Uint8Array): boolean {
    if (!mux.sendPayload(this, payload)) return false;
    this.bytesUp += payload.length;
    this.datagramsUp += 1;
    return true;
  }

  #wait(payload: Uint8Array): boolean {
    // What no datagram carries would only wait in vain.
    const limit = this.#request.waitingLimit ?? defaultWaitingLimit;
    if (this.#waiting.length >= limit || payload.length > udpPayloadLimit) {
      this.#counters.droppedWaiting += 1;
      return false;
    }
    this.#waiting.push(copyBytes(payload));
    return true;
  }

  /** Looks for a connection until there is one or too much time has passed. */
  #move(retry: number): void {
    if (this.#state === 'ended') return;
    this.#state = 'moving';
    const mux = this.#request.route();
    if (mux?.open === true) {
      this.#counters.moved += 1;
      this.#registerAt(mux);
    } else if (retry >= moveRetryLimit) this.#end({ kind: 'unreachable' });
    else this.#timer = setTimeout(() => this.#move(retry + 1), moveRetryMs);
  }

  #registerAt(mux: EdgeMux): void {
    // A v3 session keeps its id and is claimed by the new connection; v2 ids belong to one connection and are used once.
    if (mux.version === 2) this.id = randomBytes(16);
    this.#state = 'registering';
    this.#mux = mux;
    mux.register(this);
  }

  #end(end: FlowEnd): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#wheel.remove(this);
    this.#mux?.unregister(this, end.kind);
    this.#mux = undefined;
    this.#counters.active -= 1;
    this.#gone(this);
    if (this.#log.isLevelEnabled('debug'))
      this.#log.debug({ event: 3, flowID: Buffer.from(this.id).toString('hex'), end }, 'Flow ended');
    this.#request.ended(end);
  }
}

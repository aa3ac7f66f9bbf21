// One UDP session at the connector: a socket connected to the private service, its idle time and how it ends. Knows
// nothing of datagram versions or connections: its owner does. Source: docs/protocol/datagrams.md §4.4, §5.6, §6.

import type { PosternError } from '../../errors/error.ts';
import type { IpBytes } from '../../net/address/ip.ts';
import { chooseResolver, isVirtualDns, type ResolverAddress } from '../../net/address/virtual-dns.ts';
import { copyBytes } from '../../net/stream/copy-bytes.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { udpPayloadLimit } from '../../wire/datagram/datagram-problem.ts';
import type { DatagramCounters } from '../channel/counters.ts';
import type { IdleEntry, IdleWheel } from '../channel/idle-wheel.ts';
import type { OpenUdp, UdpEvents, UdpSocket } from '../socket/udp-socket.ts';

/** Counts flows of every kind against one limit. */
export interface FlowSlots {
  tryAcquire(): boolean;
  release(): void;
}

/** What all sessions of one connector share. */
export interface SessionEnvironment {
  readonly openUdp: OpenUdp;
  readonly flows: FlowSlots;
  /** Whether a session may reach this destination; not asked for the virtual DNS service. */
  readonly allowDestination: (address: IpBytes) => boolean;
  /** Resolvers given for the virtual DNS service; empty = the system's. */
  readonly resolvers: readonly ResolverAddress[];
  readonly wheel: IdleWheel;
  /** Told whenever the kernel had no room for datagrams of an origin. */
  readonly overflowed: () => void;
  readonly log: Logger;
}

export type SessionEnd =
  | { readonly kind: 'idle' }
  | { readonly kind: 'failed'; readonly error: PosternError }
  | { readonly kind: 'closed'; readonly message: string };

/** Told by a session; none of these may throw. */
export interface SessionOwner {
  /** Counters of the connection the session belongs to now. */
  readonly counters: DatagramCounters;
  /** The socket is connected. Payloads that came before are sent after this. */
  opened(session: UdpSession): void;
  /** One payload from the origin, at most 1280 bytes; the view is valid only during the call. */
  payload(session: UdpSession, payload: Uint8Array): void;
  /** The session is over, its socket closed and its flow slot given back. Exactly once. */
  ended(session: UdpSession, end: SessionEnd): void;
}

export interface SessionRequest {
  /** 16 bytes, kept. */
  readonly id: Uint8Array;
  /** 4 or 16 bytes, kept. */
  readonly address: IpBytes;
  readonly port: number;
  readonly idleMs: number;
}

const dropReasons = { full: 'write_full', failed: 'write_failed', overflow: 'read_full' } as const;
/** Payloads held while the socket connects, which takes one turn of the event loop. */
const earlyLimit = 16;

export class UdpSession implements IdleEntry, UdpEvents {
  readonly id: Uint8Array;
  readonly address: IpBytes;
  readonly port: number;
  owner: SessionOwner;
  idleMs: number;
  lastActiveMs: number;
  readonly #environment: SessionEnvironment;
  #socket: UdpSocket | undefined;
  #early: Uint8Array[] | undefined = [];
  #state: 'opening' | 'open' | 'ended' = 'opening';
  #wasOpen = false;

  /** `open` must follow. */
  constructor(environment: SessionEnvironment, owner: SessionOwner, request: SessionRequest) {
    this.#environment = environment;
    this.owner = owner;
    this.id = request.id;
    this.address = request.address;
    this.port = request.port;
    this.idleMs = request.idleMs;
    this.lastActiveMs = environment.wheel.now();
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether the socket was ever connected: an end without that is a failed registration. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  /** Opens the socket; the flow slot has been taken by the caller and is the session's from here on. */
  open(): void {
    const { openUdp, resolvers, wheel } = this.#environment;
    const isDns = isVirtualDns(this.address, this.port);
    const target = isDns ? chooseResolver(resolvers) : this;
    this.owner.counters.activeSessions += 1;
    this.owner.counters.totalSessions += 1;
    if (isDns) this.owner.counters.virtualDns += 1;
    wheel.add(this);
    const socket = openUdp(target.address, target.port, this);
    // The opener may have failed before it returned.
    if (this.#hasEnded()) socket.close();
    else {
      this.#socket = socket;
      if (this.#state === 'open') this.#flushEarly();
    }
  }

  /** Sends one payload from the edge to the origin; drops and counts what cannot go. */
  write(payload: Uint8Array): void {
    if (this.#early !== undefined) {
      if (this.#early.length >= earlyLimit) this.dropped('full', 1);
      else this.#early.push(copyBytes(payload));
      return;
    }
    this.lastActiveMs = this.#environment.wheel.now();
    const result = this.#socket?.send(payload) ?? 'failed';
    if (result !== 'sent') this.dropped(result, 1);
  }

  /** Ends the session. Idempotent. */
  close(message: string): void {
    this.#end({ kind: 'closed', message });
  }

  /** Counts as activity: a repeated registration. */
  touch(): void {
    this.lastActiveMs = this.#environment.wheel.now();
  }

  connected(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.#wasOpen = true;
    this.owner.opened(this);
    if (this.#socket !== undefined) this.#flushEarly();
  }

  message(payload: Uint8Array): void {
    this.lastActiveMs = this.#environment.wheel.now();
    if (payload.length > udpPayloadLimit) this.owner.counters.dropped.read_too_large += 1;
    else this.owner.payload(this, payload);
  }

  dropped(why: 'full' | 'failed' | 'overflow', count: number): void {
    this.owner.counters.dropped[dropReasons[why]] += count;
    if (why === 'overflow') this.#environment.overflowed();
  }

  failed(error: PosternError): void {
    if (this.#state === 'open') this.owner.counters.dropped.read_failed += 1;
    this.#end({ kind: 'failed', error });
  }

  idled(): void {
    this.#end({ kind: 'idle' });
  }

  #flushEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const payload of early) this.write(payload);
  }

  #end(end: SessionEnd): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#early = undefined;
    this.#environment.wheel.remove(this);
    this.#socket?.close();
    this.#environment.flows.release();
    this.owner.counters.activeSessions -= 1;
    this.owner.ended(this, end);
  }

  #hasEnded(): boolean {
    return this.#state === 'ended';
  }
}

/** Why a session could not be begun, before any socket. */
export type SessionRefusal = 'too-many-flows' | 'destination-refused';

/** Checks the destination and takes a flow slot; undefined when the session may be opened. */
export function admitSession(
  environment: SessionEnvironment,
  address: IpBytes,
  port: number,
  counters: DatagramCounters,
): SessionRefusal | undefined {
  if (!isVirtualDns(address, port) && !environment.allowDestination(address)) {
    counters.failedSessions += 1;
    return 'destination-refused';
  }
  if (!environment.flows.tryAcquire()) {
    counters.rateLimited += 1;
    return 'too-many-flows';
  }
  return undefined;
}

/** The text of an end, as it is logged and sent to an edge: `session idle for 3m30s`, `terminated without error`. */
export function describeEnd(session: UdpSession, end: SessionEnd): string {
  switch (end.kind) {
    case 'idle':
      return `session idle for ${formatGoDuration(session.idleMs)}`;
    case 'failed':
      return end.error.message;
    case 'closed':
      return end.message === '' ? 'terminated without error' : end.message;
  }
}

/** Milliseconds the way Go prints durations: `3m30s`, `2m0s`, `1.5s`, `20ms`, `1h0m0s`. */
export function formatGoDuration(ms: number): string {
  if (ms < 1000) return `${Number(ms.toFixed(6))}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = Number(((ms % 60_000) / 1000).toFixed(9));
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

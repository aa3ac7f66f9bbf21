// The connections that are registered now, by tunnel: which can take a request, and which is a duplicate.
// Source: docs/protocol/edge-protocol.md §8.1 (identity), §13.2.

import { PosternError } from '../errors/error.ts';
import { hostOf } from '../net/address/host-port.ts';
import { plainAddress } from '../net/address/ip.ts';
import { managementHostTest } from '../net/http/management-host.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { EdgeConnection, OutgoingStream, RequestHead } from '../transport/transport.ts';
import type { DatagramVersion } from '../wire/features.ts';
import type { Carrier } from './carrier.ts';
import type { ConfigurationSender } from './configuration-sender.ts';

/** One registered connection. */
export interface RegisteredConnection {
  /** UUID given out at registration. */
  readonly id: string;
  readonly tunnelId: TunnelId;
  readonly accountTag: string;
  /** UUID of the connector process. */
  readonly clientId: string;
  readonly connIndex: number;
  readonly connection: EdgeConnection;
  readonly location: string;
  readonly features: readonly string[];
  readonly datagramVersion: DatagramVersion;
  readonly version: string;
  readonly arch: string;
  readonly openedAtMs: number;
  /** What it registered with; never shown. */
  readonly secret: Uint8Array;
  /** Set once it unregistered: running requests go on, new ones go elsewhere. */
  draining: boolean;
  /** Takes the tunnel's configurations to it, and knows what it said of them. */
  readonly configurations: ConfigurationSender;
}

export type RegistryEvent =
  | { readonly kind: 'registered'; readonly registered: RegisteredConnection }
  | { readonly kind: 'removed'; readonly registered: RegisteredConnection };

/** How long after its last connection, or the edge's start, a connector is thought to be on its way back. */
export const returnWithinMs = 30_000;
/** Counts for more than any number of streams. */
const suspectLoad = 1_000_000;
/** Requests that may wait for one tunnel's connector; more are refused at once. */
export const maxWaiting = 1_000;

export class ConnectorRegistry {
  readonly #byTunnel = new Map<TunnelId, RegisteredConnection[]>();
  readonly #waiting = new Map<TunnelId, Set<() => void>>();
  readonly #listeners = new Set<(event: RegistryEvent) => void>();
  readonly #startedAtMs = performance.now();
  /** When tunnels lost their last connection, in that order; only what is younger than `returnWithinMs` matters. */
  readonly #lostAtMs = new Map<TunnelId, number>();
  /** Silent for longer than connectors are: see liveness.ts. */
  readonly #suspects = new Set<RegisteredConnection>();
  /** Requests without an answer that may be tried elsewhere. */
  readonly #unanswered = new Map<Carrier, Set<() => void>>();
  #expectsNobody = false;
  #next = 0;

  /** Whether a Host header is one to which a connector might answer itself. */
  readonly isManagementHost: (host: string) => boolean;

  /** `managementHost`: this edge's own name for requests to connectors themselves, besides the usual ones. */
  constructor({ managementHost }: { readonly managementHost?: string | undefined } = {}) {
    this.isManagementHost = managementHostTest(managementHost);
  }

  /**
   * Opens a request stream for whoever is not the management step: no visitor, member or check may ask a connector itself.
   * Throws what `Carrier.request` does, and 'origin.unreachable' for such a host.
   */
  ask(carrier: Carrier, head: RequestHead): OutgoingStream {
    if (!this.isManagementHost(head.host)) return carrier.request(head);
    throw new PosternError('origin.unreachable', `The host ${head.host} is the connectors' own; name another.`);
  }

  /** Calls `listener` for every registration and removal; it must not throw. Returns what stops it. */
  subscribe(listener: (event: RegistryEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The live connection with the same identity, if there is one. */
  findDuplicate(tunnelId: TunnelId, clientId: string, connIndex: number): RegisteredConnection | undefined {
    return this.#byTunnel
      .get(tunnelId)
      ?.find(one => one.clientId === clientId && one.connIndex === connIndex && !one.draining);
  }

  add(registered: RegisteredConnection): void {
    const list = this.#byTunnel.get(registered.tunnelId);
    if (list === undefined) this.#byTunnel.set(registered.tunnelId, [registered]);
    else list.push(registered);
    for (const listener of this.#listeners) listener({ kind: 'registered', registered });
    const waiting = this.#waiting.get(registered.tunnelId);
    this.#waiting.delete(registered.tunnelId);
    for (const wake of waiting ?? []) wake();
  }

  /** Idempotent. */
  remove(registered: RegisteredConnection): void {
    const list = this.#byTunnel.get(registered.tunnelId);
    const index = list?.indexOf(registered) ?? -1;
    if (list === undefined || index < 0) return;
    list.splice(index, 1);
    this.#suspects.delete(registered);
    if (list.length === 0) {
      this.#byTunnel.delete(registered.tunnelId);
      this.#rememberLoss(registered.tunnelId);
    }
    for (const listener of this.#listeners) listener({ kind: 'removed', registered });
  }

  /**
   * The connection of the tunnel, or of its connector `clientId`, with the fewest running streams that is not in `tried`;
   * equals take turns. A suspect one only when there is no other.
   */
  pick(tunnelId: TunnelId, tried: readonly Carrier[] = [], clientId?: string): RegisteredConnection | undefined {
    const list = this.#byTunnel.get(tunnelId);
    if (list === undefined) return undefined;
    let best: RegisteredConnection | undefined;
    let load = Number.POSITIVE_INFINITY;
    this.#next = (this.#next + 1) % 0x3fff_ffff;
    for (let step = 0; step < list.length; step += 1) {
      const one = list[(this.#next + step) % list.length];
      if (one === undefined || one.draining || tried.includes(one.connection)) continue;
      if (clientId !== undefined && one.clientId !== clientId) continue;
      const streams = one.connection.openStreams + (this.#suspects.has(one) ? suspectLoad : 0);
      if (streams < load) {
        best = one;
        load = streams;
      }
    }
    return best;
  }

  isSuspect(registered: RegisteredConnection): boolean {
    return this.#suspects.has(registered);
  }

  /** The connection gets new requests only where there is no other; those that wait are told. Idempotent. */
  suspect(registered: RegisteredConnection): void {
    this.#suspects.add(registered);
    for (const tell of [...(this.#unanswered.get(registered.connection) ?? [])]) tell();
  }

  /** The connection has shown that it lives. */
  trust(registered: RegisteredConnection): void {
    this.#suspects.delete(registered);
  }

  /** Calls `listener` when the connection becomes suspect, until the returned function is called. */
  whenSuspect(connection: Carrier, listener: () => void): () => void {
    let listeners = this.#unanswered.get(connection);
    if (listeners === undefined) {
      listeners = new Set();
      this.#unanswered.set(connection, listeners);
    }
    const waiting = listeners;
    waiting.add(listener);
    return () => {
      waiting.delete(listener);
      if (waiting.size === 0 && this.#unanswered.get(connection) === waiting) this.#unanswered.delete(connection);
    };
  }

  /**
   * Settles when a connection of the tunnel registers, or after `timeoutMs`; resolves to whether one did. Resolves to
   * false at once where none is to be expected: the tunnel lost its last connection long ago, or never had one.
   */
  waitForReturn(tunnelId: TunnelId, timeoutMs: number): Promise<boolean> {
    const waiting = this.#waiting.get(tunnelId) ?? new Set();
    if (!this.#isExpected(tunnelId) || waiting.size >= maxWaiting) return Promise.resolve(false);
    return new Promise(resolve => {
      this.#waiting.set(tunnelId, waiting);
      const wake = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(tunnelId) === waiting) this.#waiting.delete(tunnelId);
        resolve(false);
      }, timeoutMs);
      waiting.add(wake);
    });
  }

  /** The edge takes no more registrations: requests that wait go on waiting, and no further request begins to wait. */
  expectNobody(): void {
    this.#expectsNobody = true;
  }

  #isExpected(tunnelId: TunnelId): boolean {
    if (this.#expectsNobody) return false;
    const now = performance.now();
    const lostAtMs = this.#lostAtMs.get(tunnelId) ?? this.#startedAtMs;
    return this.#byTunnel.has(tunnelId) || now - lostAtMs < returnWithinMs;
  }

  #rememberLoss(tunnelId: TunnelId): void {
    const now = performance.now();
    // The oldest come first: a map keeps the order of insertion.
    for (const [known, lostAtMs] of this.#lostAtMs) {
      if (now - lostAtMs < returnWithinMs) break;
      this.#lostAtMs.delete(known);
    }
    this.#lostAtMs.delete(tunnelId);
    this.#lostAtMs.set(tunnelId, now);
  }

  /** All connections of a tunnel that take new streams. */
  connectionsOf(tunnelId: TunnelId): readonly RegisteredConnection[] {
    return (this.#byTunnel.get(tunnelId) ?? []).filter(one => !one.draining);
  }

  /** Tunnels with a connection now. */
  tunnels(): readonly TunnelId[] {
    return [...this.#byTunnel.keys()];
  }

  all(): readonly RegisteredConnection[] {
    return [...this.#byTunnel.values()].flat();
  }

  /** How many connections a tunnel has, those that drain included. */
  countOf(tunnelId: TunnelId): number {
    return this.#byTunnel.get(tunnelId)?.length ?? 0;
  }

  /** Closes the connections of a tunnel, or of one of its connectors only, or one of those. */
  disconnect(tunnelId: TunnelId, clientId?: string, connIndex?: number): void {
    for (const one of this.connectionsOf(tunnelId)) {
      if (clientId !== undefined && one.clientId !== clientId) continue;
      if (connIndex !== undefined && one.connIndex !== connIndex) continue;
      one.draining = true;
      one.connection.abort(new PosternError('connection.closed', 'The connection was closed by an API call.'));
    }
  }
}

/** `ip:port` or `[ip]:port` → ip, an IPv4-mapped one as IPv4. */
export function addressOnly(address: string): string {
  return plainAddress(hostOf(address));
}

// What the registry forgets and the API still shows: since when a connector is there, and which connections were lost a
// moment ago and are expected back.

import { type ConnectorRegistry, type RegisteredConnection, returnWithinMs } from './connector-registry.ts';

/** Lost connections kept in mind, oldest out first: what an edge of a thousand connectors loses when its network blinks. */
const maxLost = 4_096;

export class ClientHistory implements Disposable {
  readonly #registry: ConnectorRegistry;
  readonly #now: () => number;
  readonly #unsubscribe: () => void;
  /** By tunnel and connector, while a connection lives. */
  readonly #seen = new Map<string, { readonly sinceMs: number; readonly indexes: Set<number> }>();
  /** By tunnel, while any of its connections to this edge lives. */
  readonly #connectedMs = new Map<string, number>();
  /** By tunnel, connector and index, in the order of their loss. */
  readonly #lost = new Map<string, { readonly registered: RegisteredConnection; readonly lostAtMs: number }>();

  /** Follows the registry until it is disposed. `now` must not jump. */
  constructor(registry: ConnectorRegistry, now: () => number = () => performance.now()) {
    this.#registry = registry;
    this.#now = now;
    this.#unsubscribe = registry.subscribe(({ kind, registered }) => {
      if (kind === 'registered') this.#appeared(registered);
      else this.#vanished(registered);
    });
  }

  /** When the connector's first connection registered, if it has one now. */
  sinceMs(registered: RegisteredConnection): number {
    return this.#seen.get(clientKey(registered))?.sinceMs ?? registered.openedAtMs;
  }

  /** Since when the tunnel has had a connection to this edge without a gap, if it has one now. */
  connectedMs(tunnelId: string): number | undefined {
    return this.#connectedMs.get(tunnelId);
  }

  /** Numbers of the connections that the connector had since then and did not give up by itself. */
  indexesOf(registered: RegisteredConnection): ReadonlySet<number> {
    return this.#seen.get(clientKey(registered))?.indexes ?? new Set();
  }

  /** Connections of the tunnel that broke off within the time in which connectors come back. */
  lostOf(tunnelId: string): readonly RegisteredConnection[] {
    this.#forgetOld();
    return [...this.#lost.values()].flatMap(({ registered }) => (registered.tunnelId === tunnelId ? [registered] : []));
  }

  /** An operator closed the connections of a tunnel, or of one connector: they are not expected back. */
  forgetLost(tunnelId: string, clientId?: string): void {
    for (const [key, { registered }] of this.#lost) {
      if (registered.tunnelId === tunnelId && (clientId ?? registered.clientId) === registered.clientId)
        this.#lost.delete(key);
    }
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #appeared(registered: RegisteredConnection): void {
    const key = clientKey(registered);
    const { openedAtMs, tunnelId } = registered;
    if (!this.#connectedMs.has(tunnelId)) this.#connectedMs.set(tunnelId, openedAtMs);
    const seen = this.#seen.get(key) ?? { sinceMs: openedAtMs, indexes: new Set() };
    seen.indexes.add(registered.connIndex);
    this.#seen.set(key, seen);
    this.#lost.delete(connectionKey(registered));
  }

  #vanished(registered: RegisteredConnection): void {
    const { clientId, connIndex, draining, tunnelId } = registered;
    const living = this.#registry.connectionsOf(tunnelId);
    if (living.length === 0) this.#connectedMs.delete(tunnelId);
    const others = living.filter(one => one.clientId === clientId);
    if (others.length === 0) this.#seen.delete(clientKey(registered));
    if (others.some(one => one.connIndex === connIndex)) return;
    // One that unregistered, was replaced or was closed here went as it should.
    if (draining) {
      this.#seen.get(clientKey(registered))?.indexes.delete(connIndex);
      return;
    }
    this.#forgetOld();
    const [oldest] = this.#lost.keys();
    if (this.#lost.size >= maxLost && oldest !== undefined) this.#lost.delete(oldest);
    this.#lost.set(connectionKey(registered), { registered, lostAtMs: this.#now() });
  }

  #forgetOld(): void {
    const beforeMs = this.#now() - returnWithinMs;
    for (const [key, { lostAtMs }] of this.#lost) {
      if (lostAtMs > beforeMs) return;
      this.#lost.delete(key);
    }
  }
}

function clientKey({ tunnelId, clientId }: RegisteredConnection): string {
  return `${tunnelId} ${clientId}`;
}

function connectionKey(registered: RegisteredConnection): string {
  return `${clientKey(registered)} ${registered.connIndex}`;
}

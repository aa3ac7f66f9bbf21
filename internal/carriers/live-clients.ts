// Who is connected now, for the API: the connectors of this edge, from its registry, and those of other edges on the same
// store, which tell each other through it. An edge whose beat stands still is gone, and its connectors with it.

import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { describeError } from '../errors/error.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { PresenceStore } from '../store/contract/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { ClientHistory } from './client-history.ts';
import { addressOnly, type ConnectorRegistry, type RegisteredConnection } from './connector-registry.ts';
import type { ActiveClient, LiveConnection, LiveConnections, TunnelState } from './live-connections.ts';
import { tunnelState } from './tunnel-state.ts';

export interface LiveClientsOptions {
  readonly store: { readonly presence: PresenceStore };
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  /** How often this edge says that it lives. Default 5,000. */
  readonly beatMs?: number;
}

/** What connectors did since the last write is gathered for this long: a fleet that comes back is one write. */
const gatherMs = 200;
/** An edge that missed three beats is gone. */
const missedBeats = 3;

const clientsSchema = z.array(
  z.object({
    id: z.string(),
    features: z.array(z.string()),
    version: z.string(),
    arch: z.string(),
    runAtMs: z.number(),
    connections: z.array(
      z.object({
        id: z.string(),
        index: z.number().default(0),
        protocol: z.string().default(''),
        location: z.string(),
        originIp: z.string(),
        openedAtMs: z.number(),
        pendingReconnect: z.boolean(),
      }),
    ),
    // What an edge of an older version does not tell.
    missing: z.array(z.number()).default([]),
    configVersion: z.number().default(0),
  }),
);

export class LiveClients implements LiveConnections, AsyncDisposable {
  readonly #presence: PresenceStore;
  readonly #registry: ConnectorRegistry;
  readonly #logger: Logger;
  readonly #history: ClientHistory;
  readonly #edgeId = randomUUID();
  readonly #beatMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  readonly #others = new Map<string, { beat: number; changedAtMs: number }>();
  readonly #changed = new Set<TunnelId>();
  #gathering: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;
  #closed = false;

  /** Starts to follow the registry, and to tell the store; `close` ends both. */
  constructor({ store, registry, logger, beatMs = 5_000 }: LiveClientsOptions) {
    this.#presence = store.presence;
    this.#registry = registry;
    this.#logger = logger;
    this.#beatMs = beatMs;
    this.#history = new ClientHistory(registry);
    this.#unsubscribe = registry.subscribe(({ registered }) => this.#noteChange(registered.tunnelId));
    this.#timer = setInterval(() => this.#write(), beatMs);
    this.#timer.unref();
    this.#write();
  }

  async list(tunnelId: TunnelId): Promise<readonly ActiveClient[]> {
    return this.#list(tunnelId, await this.#livingOthers());
  }

  async states(ids: readonly TunnelId[]): Promise<ReadonlyMap<TunnelId, TunnelState>> {
    const others = await this.#livingOthers();
    const activity = new Map((await this.#presence.activity()).map(one => [one.tunnelId, one]));
    const states = new Map<TunnelId, TunnelState>();
    for (const id of ids) {
      const state = tunnelState(await this.#list(id, others), activity.get(id), Date.now());
      // The store hears of it a moment late.
      const ownMs = state.activeAtMs === undefined ? undefined : this.#history.connectedMs(id);
      states.set(
        id,
        ownMs === undefined ? state : { ...state, activeAtMs: Math.min(ownMs, state.activeAtMs ?? ownMs) },
      );
    }
    return states;
  }

  async tunnels(): Promise<ReadonlySet<TunnelId>> {
    const own = this.#registry.tunnels().filter(id => this.#registry.connectionsOf(id).length > 0);
    const others = await this.#livingOthers();
    const present = others.size === 0 ? [] : await this.#presence.tunnels();
    return new Set([...own, ...present.flatMap(({ edgeId, tunnelId }) => (others.has(edgeId) ? [tunnelId] : []))]);
  }

  disconnect(tunnelId: TunnelId, clientId?: string): void {
    this.#history.forgetLost(tunnelId, clientId);
    this.#registry.disconnect(tunnelId, clientId);
    this.#noteChange(tunnelId);
  }

  /** Whether other edges run on this store. */
  async hasOthers(): Promise<boolean> {
    return (await this.#livingOthers()).size > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#gathering);
    this.#unsubscribe();
    this.#history[Symbol.dispose]();
    await this.#writing;
    try {
      await this.#presence.forget(this.#edgeId, Date.now());
    } catch (error) {
      // Others notice by the beat that stands still.
      this.#logger.warn({ error: describeError(error) }, 'Cannot tell other edges that this one ends');
    }
  }

  async #list(tunnelId: TunnelId, others: ReadonlySet<string>): Promise<readonly ActiveClient[]> {
    const own = this.#ownClients(tunnelId);
    const present = others.size === 0 ? [] : await this.#presence.clientsOf(tunnelId);
    const foreign = present.flatMap(({ edgeId, clients }) => (others.has(edgeId) ? parseClients(clients) : []));
    return merged([...own, ...foreign]);
  }

  /** Edges, other than this one, whose beat goes on; those that are gone are removed. */
  async #livingOthers(): Promise<ReadonlySet<string>> {
    const now = performance.now();
    const living = new Set<string>();
    const known = await this.#presence.edges();
    for (const { id, beat } of known) {
      if (id === this.#edgeId) continue;
      const seen = this.#others.get(id);
      if (seen?.beat !== beat) this.#others.set(id, { beat, changedAtMs: now });
      else if (now - seen.changedAtMs > missedBeats * this.#beatMs) {
        await this.#presence.forget(id, Date.now(), beat);
        continue;
      }
      living.add(id);
    }
    for (const id of this.#others.keys()) if (!living.has(id)) this.#others.delete(id);
    return living;
  }

  #noteChange(tunnelId: TunnelId): void {
    if (this.#closed) return;
    this.#changed.add(tunnelId);
    this.#gathering ??= setTimeout(() => this.#write(), gatherMs).unref();
  }

  #write(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    // One after the other, so that a beat never says less than the one before.
    this.#writing = this.#writing.then(async () => {
      const changed = [...this.#changed];
      this.#changed.clear();
      try {
        if (!(await this.#tell(changed))) await this.#tell(this.#registry.tunnels());
        await this.#livingOthers();
        this.#failing = false;
      } catch (error) {
        for (const id of changed) this.#changed.add(id);
        if (!this.#failing)
          this.#logger.warn({ error: describeError(error) }, 'Cannot tell other edges who is connected');
        this.#failing = true;
      }
    });
  }

  async #tell(ids: readonly TunnelId[]): Promise<boolean> {
    const texts = ids.map((id): [TunnelId, string | undefined] => {
      const clients = this.#livingClients(id);
      return [id, clients.length === 0 ? undefined : JSON.stringify(clients)];
    });
    return this.#presence.beat(this.#edgeId, new Map(texts), Date.now());
  }

  #livingClients(tunnelId: TunnelId): readonly ActiveClient[] {
    return clientsOf(this.#registry.connectionsOf(tunnelId), [], this.#history);
  }

  #ownClients(tunnelId: TunnelId): readonly ActiveClient[] {
    return clientsOf(this.#registry.connectionsOf(tunnelId), this.#history.lostOf(tunnelId), this.#history);
  }
}

function clientsOf(
  living: readonly RegisteredConnection[],
  lost: readonly RegisteredConnection[],
  history: ClientHistory,
): readonly ActiveClient[] {
  return [...Map.groupBy([...living, ...lost], one => one.clientId)].map(([id, connections]) => {
    const [first] = connections;
    return {
      id,
      features: first?.features ?? [],
      version: first?.version ?? '',
      arch: first?.arch ?? '',
      runAtMs: Math.min(...connections.map(one => history.sinceMs(one))),
      connections: connections.map(one => showConnection(one, lost.includes(one))),
      missing: first === undefined ? [] : missingOf(history.indexesOf(first), connections),
      configVersion: Math.max(...connections.map(one => one.configurations.offered)),
    };
  });
}

function missingOf(indexes: ReadonlySet<number>, connections: readonly RegisteredConnection[]): number[] {
  return [...indexes].filter(index => !connections.some(one => one.connIndex === index));
}

function showConnection(one: RegisteredConnection, pendingReconnect: boolean): LiveConnection {
  return {
    id: one.id,
    index: one.connIndex,
    protocol: one.connection.protocol,
    location: one.location,
    originIp: addressOnly(one.connection.remoteAddress),
    openedAtMs: one.openedAtMs,
    pendingReconnect,
  };
}

/** A connector may be connected to several edges: it is one client, with the connections of all. */
function merged(clients: readonly ActiveClient[]): readonly ActiveClient[] {
  return [...Map.groupBy(clients, client => client.id).values()]
    .flatMap(([first, ...others]) => {
      if (first === undefined) return [];
      const all = [first, ...others];
      const connections = all.flatMap(client => client.connections);
      return {
        ...first,
        runAtMs: Math.min(...all.map(client => client.runAtMs)),
        connections,
        // What one edge lost may have come back at another.
        missing: [...new Set(all.flatMap(client => client.missing))].filter(
          index => !connections.some(one => one.index === index),
        ),
        configVersion: Math.max(...all.map(client => client.configVersion)),
      };
    })
    .sort((left, right) => left.runAtMs - right.runAtMs);
}

/** What another version wrote and this one cannot read is not shown; that the tunnel is connected is known without it. */
function parseClients(text: string): readonly ActiveClient[] {
  const parsed = clientsSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : [];
}

// An edge's private networks with real store, routes, registry and flows, and connectors of any tunnel over the memory
// transport whose other ends are the real proxy and the real UDP sessions. For tests of on-ramps.

import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationSender } from '../../internal/carriers/configuration-sender.ts';
import { ConnectorRegistry, type RegisteredConnection } from '../../internal/carriers/connector-registry.ts';
import { LiveClients } from '../../internal/carriers/live-clients.ts';
import { ensureLocalAccounts } from '../../internal/control-plane/accounts.ts';
import { createControlPlane } from '../../internal/control-plane/control-plane.ts';
import { writeEdgePointer } from '../../internal/credentials/edge-pointer.ts';
import type { PacketHandler } from '../../internal/datagram/channel/packet-path.ts';
import { ConnectorMuxV2 } from '../../internal/datagram/connector/connector-v2.ts';
import { ConnectorSessionsV3 } from '../../internal/datagram/connector/connector-v3.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { openPrivateNetworkApi } from '../../internal/features/private-network-api/open.ts';
import type { ResolverAddress } from '../../internal/net/address/virtual-dns.ts';
import { EchoService } from '../../internal/on-ramps/echo/echo-service.ts';
import { Admission } from '../../internal/on-ramps/entrance/admission.ts';
import type { Resolver } from '../../internal/private-network/dns/upstream.ts';
import type { FlowDenialReason, FlowEvent } from '../../internal/private-network/flows/flow.ts';
import { FlowCounts } from '../../internal/private-network/flows/flow-counts.ts';
import { type FlowLimits, FlowTracker } from '../../internal/private-network/flows/flow-tracker.ts';
import { PrivateNetwork } from '../../internal/private-network/private-network.ts';
import { openRouteTable, type RouteTable } from '../../internal/private-network/routes/route-table.ts';
import { reportSessionEnd } from '../../internal/rpc/session-events.ts';
import { createTag, createTunnelId, type TunnelId } from '../../internal/schema/api/id.ts';
import type { NetworkRecord } from '../../internal/store/contract/records.ts';
import type { Store } from '../../internal/store/contract/store.ts';
import { createApiToken, createSecretBox, digestApiToken } from '../../internal/store/secret-box.ts';
import { openSqliteStore } from '../../internal/store/sqlite/thread/sqlite-store.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import type { DatagramVersion } from '../../internal/wire/features.ts';
import { sessionEnvironment, type TestEnvironment } from './connector-sessions.ts';
import { openMemoryPair } from './memory-transport.ts';
import { proxyTo, type TestProxy } from './proxied.ts';

export interface TestConnector {
  readonly tunnelId: TunnelId;
  readonly environment: TestEnvironment;
  /** Destinations of the streams that came, in order. */
  readonly dialled: string[];
  /** Flow sources of those streams. */
  readonly sources: (string | undefined)[];
  /** UDP sessions alive. */
  sessions(): number;
  /** Loses connection `index` at once; the registry hears of it. */
  lose(index: number): void;
}

export interface ConnectorOptions {
  readonly version?: DatagramVersion;
  readonly connections?: number;
  /** Without datagrams, as over HTTP/2. */
  readonly streamsOnly?: boolean;
  /** Takes streams and never answers. */
  readonly silent?: boolean;
  /** Takes ICMP packets. */
  readonly packets?: PacketHandler;
  /** For the virtual DNS service; the system's by default. */
  readonly resolvers?: readonly ResolverAddress[];
}

export class PrivateWorld {
  readonly store: Store;
  readonly routes: RouteTable;
  readonly registry = new ConnectorRegistry();
  readonly tracker: FlowTracker;
  readonly #counts: FlowCounts;
  readonly network: PrivateNetwork;
  readonly events: FlowEvent[] = [];
  /** The operator's account: its tag, its API token and its default network. */
  readonly accountTag: string;
  readonly token: string;
  readonly vnet: NetworkRecord;
  /** Holds the store's files. */
  readonly directory: string;
  readonly #closers: (() => unknown)[] = [];

  private constructor(parts: {
    store: Store;
    routes: RouteTable;
    accountTag: string;
    token: string;
    directory: string;
    limits: FlowLimits | undefined;
    resolverOf: ((network: NetworkRecord) => Resolver | undefined) | undefined;
    confineHostnames: boolean | undefined;
  }) {
    this.store = parts.store;
    this.routes = parts.routes;
    this.accountTag = parts.accountTag;
    this.token = parts.token;
    this.directory = parts.directory;
    const vnet = parts.routes.networkOf(parts.accountTag);
    if (vnet === undefined) throw new Error('The account has no default network');
    this.vnet = vnet;
    this.tracker = new FlowTracker(parts.limits === undefined ? {} : { limits: parts.limits });
    this.tracker.subscribe(event => this.events.push(event));
    this.#counts = new FlowCounts(this.tracker);
    const { routes, registry, tracker } = this;
    const { resolverOf, confineHostnames } = parts;
    this.network = new PrivateNetwork({
      ...{ routes, registry, tracker, resolverOf, confineHostnames, logger: silentLogger(), reconnectWaitMs: 200 },
    });
  }

  static async open(
    options: {
      readonly limits?: FlowLimits;
      /** Of the network, asked for each name. */
      readonly resolverOf?: (network: NetworkRecord) => Resolver | undefined;
      readonly confineHostnames?: boolean;
    } = {},
  ): Promise<PrivateWorld> {
    const directory = mkdtempSync(join(tmpdir(), 'postern-private-'));
    const store = await openSqliteStore({ path: join(directory, 'edge.db') });
    const { local, cert } = await ensureLocalAccounts(store, {
      ...{ stateDir: directory, domain: 'localhost', apiUrl: 'http://edge' },
    });
    const routes = await openRouteTable(store, error => {
      throw error;
    });
    const { limits, resolverOf, confineHostnames } = options;
    const parts = {
      ...{
        store,
        routes,
        accountTag: local.tag,
        token: cert.apiToken,
        directory,
        limits,
        resolverOf,
        confineHostnames,
      },
    };
    return new PrivateWorld(parts);
  }

  admission(options: { readonly open?: boolean } = {}): Admission {
    const { store, routes, accountTag } = this;
    return new Admission({
      store,
      routes,
      logger: silentLogger(),
      openAccountTag: options.open === true ? accountTag : undefined,
    });
  }

  /** Another account with a default network and an API token. */
  async addAccount(
    name: string,
  ): Promise<{ readonly tag: string; readonly token: string; readonly vnet: NetworkRecord }> {
    const tag = createTag();
    const vnet = newNetwork(tag, 'default', true);
    await this.store.accounts.create(
      { tag, name, createdAtMs: 0 },
      { id: createTag(), accountTag: tag, domain: `${name}.example` },
      vnet,
    );
    const token = createApiToken();
    await this.store.accounts.addToken({
      digest: digestApiToken(token),
      accountTag: tag,
      label: 'test',
      createdAtMs: 0,
    });
    return { tag, token, vnet };
  }

  async addNetwork(name: string): Promise<NetworkRecord> {
    const vnet = newNetwork(this.accountTag, name, false);
    await this.store.networks.create(vnet);
    return vnet;
  }

  async addTunnel(name: string, accountTag = this.accountTag): Promise<TunnelId> {
    const id = createTunnelId();
    const secret = { hash: new Uint8Array(48), sealed: new Uint8Array(60) };
    await this.store.tunnels.create({ id, accountTag, name, secret, createdAtMs: 0 });
    return id;
  }

  /** Adds a route and returns its id. */
  async addRoute(prefix: string, tunnelId: TunnelId, vnet = this.vnet): Promise<string> {
    const id = randomUUID();
    const rest = { comment: '', createdAtMs: 0, deletedAtMs: undefined };
    await this.store.ipRoutes.create({
      ...{ id, accountTag: vnet.accountTag, networkId: vnet.id, prefix, tunnelId },
      ...rest,
    });
    return id;
  }

  async addHostname(hostname: string, tunnelId: TunnelId, vnet = this.vnet): Promise<void> {
    const rest = { comment: '', createdAtMs: 0, deletedAtMs: undefined };
    await this.store.privateHostnames.create({
      ...{ id: randomUUID(), accountTag: vnet.accountTag, networkId: vnet.id, hostname, tunnelId },
      ...rest,
    });
  }

  /** Registers a connector of the tunnel. */
  async connect(
    tunnelId: TunnelId,
    options: ConnectorOptions = {},
    accountTag = this.accountTag,
  ): Promise<TestConnector> {
    const { version = 3, connections = 1, streamsOnly = false, silent = false, packets, resolvers = [] } = options;
    const environment = sessionEnvironment({ resolvers });
    const proxy: TestProxy = await proxyTo({ kind: 'status', text: 'http_status:404', status: 404 });
    const v3 = new ConnectorSessionsV3(environment);
    const v2: ConnectorMuxV2[] = [];
    const dialled: string[] = [];
    const sources: (string | undefined)[] = [];
    const clientId = randomUUID();
    const lost: (() => void)[] = [];
    for (let connIndex = 0; connIndex < connections; connIndex += 1) {
      const pair = openMemoryPair();
      const { datagrams: channel, openRpc } = pair.connector;
      if (channel === undefined || openRpc === undefined) throw new Error('The memory transport carries datagrams');
      const mux =
        version === 3
          ? v3.attach({ channel, connIndex, packets })
          : new ConnectorMuxV2(environment, {
              ...{ channel, connIndex, packets },
              unregister: (sessionId, message) =>
                void openRpc().then(stream => reportSessionEnd(stream, { sessionId, message }, 5_000)),
            });
      if (mux instanceof ConnectorMuxV2) v2.push(mux);
      pair.connector.serve({
        stream: incoming => {
          dialled.push(incoming.head.host);
          sources.push(incoming.head.source);
          if (!silent) proxy.proxy.stream(incoming);
        },
        configure: () => Promise.resolve({ version: -1, error: 'not here' }),
        sessions: {
          registerUdpSession: async ({ sessionId: id, dstIp: address, dstPort: port, closeAfterIdleMs }) => {
            if (!(mux instanceof ConnectorMuxV2)) return 'datagram v3 does not support RegisterUdpSession RPC';
            const idleHintNs = BigInt(Math.round(closeAfterIdleMs)) * 1_000_000n;
            return (await mux.registerSession({ id, address, port, idleHintNs })) ?? '';
          },
          unregisterUdpSession: async ({ sessionId, message }) => {
            if (mux instanceof ConnectorMuxV2) mux.unregisterSession(sessionId, message);
          },
        },
      });
      const { edge } = pair;
      const registered: RegisteredConnection = {
        ...{ id: randomUUID(), tunnelId, accountTag, clientId, connIndex, location: 'test', features: [] },
        ...{ datagramVersion: version, version: 'test', arch: 'test', openedAtMs: Date.now(), draining: false },
        secret: new Uint8Array(32),
        configurations: new ConfigurationSender(edge, silentLogger()),
        connection: streamsOnly ? withoutDatagrams(edge) : edge,
      };
      this.registry.add(registered);
      void edge.closed.then(() => {
        mux.close();
        this.registry.remove(registered);
      });
      const lose = (): void => edge.abort(new PosternError('connection.lost', 'lost by the test'));
      lost.push(lose);
      this.#closers.push(lose);
    }
    this.#closers.push(
      () => v3.close(),
      () => proxy.close(),
    );
    return {
      ...{ tunnelId, environment, dialled, sources },
      sessions: () => v3.size + v2.reduce((sum, mux) => sum + mux.size, 0),
      lose: index => lost[index]?.(),
    };
  }

  /** How many flows were denied, by reason. */
  get denied(): Partial<Record<FlowDenialReason, number>> {
    const sums: Partial<Record<FlowDenialReason, number>> = {};
    for (const { reason, count } of this.#counts.denials()) sums[reason] = (sums[reason] ?? 0) + count;
    return sums;
  }

  /** Serves the API of the world's store; the result is a home directory whose commands find it. */
  async serveApi(): Promise<string> {
    const { store, registry } = this;
    const live = new LiveClients({ store, registry, logger: silentLogger() });
    const echo = this.use(new EchoService(this.network));
    const server = createServer(
      createControlPlane({
        ...{ store, live, logger: silentLogger(), calls: openPrivateNetworkApi({ store, echo }).api },
        ...{ secrets: createSecretBox(randomBytes(32)) },
        ...{ describeEdge: () => ({ addresses: [], caPin: '' }) },
      }),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#closers.unshift(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await live[Symbol.asyncDispose]();
    });
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const apiUrl = `${origin}/client/v4`;
    const stateDir = this.directory;
    await ensureLocalAccounts(store, { stateDir, domain: 'localhost', apiUrl });
    writeEdgePointer(join(stateDir, '.postern'), { apiUrl, quickServiceUrl: origin, stateDir, pid: process.pid });
    return stateDir;
  }

  /** Closes `resource` with the world, before the rest. */
  use<T extends { close(): unknown }>(resource: T): T {
    this.#closers.unshift(() => resource.close());
    return resource;
  }

  async close(): Promise<void> {
    for (const closer of this.#closers) await closer();
    this.network.close();
    this.routes.close();
    await this.store.close();
    rmSync(this.directory, { recursive: true });
    if (this.tracker.size !== 0) throw new Error(`${this.tracker.size} flows were left`);
  }
}

function newNetwork(accountTag: string, name: string, isDefault: boolean): NetworkRecord {
  return { id: randomUUID(), accountTag, name, comment: '', isDefault, createdAtMs: 0, deletedAtMs: undefined };
}

function withoutDatagrams(edge: RegisteredConnection['connection']): RegisteredConnection['connection'] {
  return new Proxy(edge, {
    get: (target, name) => {
      if (name === 'datagrams' || name === 'openRpc') return undefined;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

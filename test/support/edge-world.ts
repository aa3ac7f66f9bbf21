// An edge with real listeners in a temporary state directory, and real connectors to it, all in the test's process: what
// a visitor's request passes on its way, but for process borders. Everything is closed with the test.

import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { fixedProtocol } from '../../internal/connector/protocol/protocol-policy.ts';
import { openTunnel, type Tunnel, type TunnelOptions } from '../../internal/connector/tunnel.ts';
import { openEdge } from '../../internal/edge/edge.ts';
import type { Edge, EdgeOptions } from '../../internal/edge/options.ts';
import { createTunnelId, type TunnelId } from '../../internal/schema/api/id.ts';
import { parseRemoteConfig } from '../../internal/schema/remote-config.ts';
import { openSecretBox } from '../../internal/store/secret-box.ts';
import { createLogger, type Logger } from '../../internal/telemetry/logger.ts';
import { dialTransport } from '../../internal/transport/open/dial.ts';
import type { Protocol } from '../../internal/transport/transport.ts';
import { temporaryDirectory } from './program.ts';
import { until, within } from './wait.ts';

/** A tunnel that the edge knows. */
export interface KnownTunnel {
  readonly id: TunnelId;
  readonly accountTag: string;
  readonly secret: Buffer;
  /** Host name that is routed to it. */
  readonly host: string;
}

export class EdgeWorld {
  readonly edge: Edge;
  readonly stateDir: string;
  /** Log lines of edge and connectors, parsed. */
  readonly lines: Record<string, unknown>[];
  readonly #t: TestContext;
  readonly #logger: Logger;

  private constructor(t: TestContext, edge: Edge, stateDir: string, lines: Record<string, unknown>[], logger: Logger) {
    this.#t = t;
    this.edge = edge;
    this.stateDir = stateDir;
    this.lines = lines;
    this.#logger = logger;
  }

  static async open(t: TestContext, options: Partial<EdgeOptions> = {}): Promise<EdgeWorld> {
    const lines: Record<string, unknown>[] = [];
    const logger = createLogger({
      level: 'debug',
      format: 'json',
      destination: { write: line => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    });
    const stateDir = options.stateDir ?? (await temporaryDirectory(t));
    const edge = await openEdge({
      stateDir,
      domain: 'example.test',
      connectors: { host: '127.0.0.1', port: 0 },
      api: { host: '127.0.0.1', port: 0 },
      publicHost: '127.0.0.1',
      httpPort: 0,
      httpsPort: 0,
      names: ['127.0.0.1'],
      quickTunnels: false,
      location: 'tst01',
      gracePeriodMs: 200,
      logger,
      ...options,
    });
    t.after(() => within('the edge to stop', edge.stop()));
    return new EdgeWorld(t, edge, stateDir, lines, logger);
  }

  get httpPort(): number {
    if (this.edge.httpPort === undefined) throw new Error('this edge has no HTTP listener');
    return this.edge.httpPort;
  }

  get httpsPort(): number {
    if (this.edge.httpsPort === undefined) throw new Error('this edge has no HTTPS listener');
    return this.edge.httpsPort;
  }

  /** Makes a tunnel and routes `host` to it, as two API calls would. */
  async makeTunnel(host = 'app.example.test'): Promise<KnownTunnel> {
    const { store } = this.edge;
    const account = await store.accounts.byName('local');
    if (account === undefined) throw new Error('the edge has no local account');
    const [id, secret, accountTag] = [createTunnelId(), randomBytes(32), account.tag];
    const sealed = (await openSecretBox(this.stateDir)).seal(id, secret);
    const createdAtMs = Date.now();
    await store.tunnels.create({ id, accountTag, name: host, secret: sealed, createdAtMs });
    await store.hostnames.route({ hostname: host, tunnelId: id, accountTag, createdAtMs }, { overwrite: false });
    return { id, accountTag, secret, host };
  }

  /** Runs a connector for `tunnel` and waits until `haConnections` (default 1) are registered. */
  async connect(
    tunnel: KnownTunnel,
    ingress: readonly Record<string, unknown>[],
    { protocol = 'http2', ...options }: Partial<TunnelOptions> & { readonly protocol?: Protocol } = {},
  ): Promise<Tunnel> {
    const running = await openTunnel({
      ...this.identity(tunnel),
      ingress: parseRemoteConfig({ ingress }),
      shownFlags: {},
      policy: fixedProtocol(protocol),
      haConnections: 1,
      retries: 5,
      gracePeriodMs: 5_000,
      rpcTimeoutMs: 5_000,
      postQuantum: false,
      features: [],
      tags: {},
      maxActiveFlows: undefined,
      metrics: undefined,
      privateNetwork: { allowedDestinations: [], resolvers: [], echo: undefined },
      quickTunnelHost: '',
      version: '0.0.0',
      dial: dialTransport,
      logger: this.#logger,
      // Back-off waits are full jitter: almost none, so that tests need not wait them out.
      random: () => 0.001,
      ...options,
    });
    const end = running.run().catch((error: unknown) => error);
    this.#t.after(async () => {
      running.abort();
      await within('the connector to end', end);
    });
    const wanted = options.haConnections ?? 1;
    await until(`${wanted} connections`, () => running.connector.readyCount === wanted);
    return running;
  }

  /** What a connector needs to know to register. */
  identity(tunnel: KnownTunnel): Pick<TunnelOptions, 'accountTag' | 'tunnelId' | 'tunnelSecret' | 'edge'> {
    return {
      accountTag: tunnel.accountTag,
      tunnelId: tunnel.id,
      tunnelSecret: tunnel.secret,
      edge: {
        addresses: [{ host: '127.0.0.1', port: this.edge.connectorPort }],
        region: undefined,
        ipVersion: 'auto',
        bindAddress: undefined,
        ca: [this.edge.caPem],
        caPin: undefined,
        rootsFile: '/nonexistent/roots.pem',
      },
    };
  }
}

/** An edge, a tunnel and a connector whose one rule leads to the HTTP origin on a port, or to a service. */
export async function openWorld(
  t: TestContext,
  origin: number | string,
  options: {
    readonly edge?: Partial<EdgeOptions>;
    readonly tunnel?: Partial<TunnelOptions>;
    /** Default HTTP/2. */
    readonly protocol?: 'http2' | 'quic';
  } = {},
): Promise<{ world: EdgeWorld; tunnel: KnownTunnel; connector: Tunnel }> {
  const world = await EdgeWorld.open(t, options.edge);
  const tunnel = await world.makeTunnel();
  const connector = await world.connect(
    tunnel,
    [{ service: typeof origin === 'string' ? origin : `http://127.0.0.1:${origin}` }],
    {
      policy: fixedProtocol(options.protocol ?? 'http2'),
      ...options.tunnel,
    },
  );
  return { world, tunnel, connector };
}

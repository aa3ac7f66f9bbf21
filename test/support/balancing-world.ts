// An edge with load balancers: tunnels whose origins say their names and count their requests, a client of the API, and
// visitors.

import { readFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createApiClient } from '../../internal/api/client.ts';
import type { Tunnel, TunnelOptions } from '../../internal/connector/tunnel.ts';
import { parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import type { EdgeOptions } from '../../internal/edge/options.ts';
import { EdgeWorld, type KnownTunnel } from './edge-world.ts';
import { listen } from './origin-server.ts';

/** One origin behind a connector of its own. */
export interface TestOrigin {
  readonly name: string;
  readonly tunnel: KnownTunnel;
  readonly connector: Tunnel;
  readonly server: Server;
  readonly port: number;
  /** Heads of the requests so far, checks apart. */
  readonly seen: { readonly method: string; readonly url: string; readonly host: string }[];
  checks: number;
  /** Answers no check from now on, with this status. */
  sickStatus: number | undefined;
}

export interface VisitAnswer {
  readonly status: number;
  readonly body: string;
  readonly cookie: string | undefined;
  readonly cookies: readonly string[];
}

export type BalancingWorld = Awaited<ReturnType<typeof openBalancingWorld>>;

/** With `stateDir` an edge on the state of another. */
export async function openBalancingWorld(t: TestContext, options: Partial<EdgeOptions> = {}) {
  const world = await EdgeWorld.open(t, options);
  const cert = parseOriginCert(await readFile(join(world.stateDir, 'cert.pem'), 'utf8'));
  const client = createApiClient({ apiUrl: world.edge.apiUrl, apiToken: cert.apiToken, userAgent: 'test' });
  const account = { account: cert.accountId };
  const zone = { zone: cert.zoneId };
  let made = 0;

  const serve = async (name: string) => {
    const origin: Pick<TestOrigin, 'seen' | 'checks' | 'sickStatus'> = { seen: [], checks: 0, sickStatus: undefined };
    const server = createServer((incoming, response) => {
      const { method = '', url = '', headers } = incoming;
      if (headers['user-agent']?.includes('Cloudflare-Traffic-Manager') === true) {
        origin.checks += 1;
        response.writeHead(origin.sickStatus ?? 200).end('I am WELL');
        return;
      }
      origin.seen.push({ method, url, host: headers.host ?? '' });
      if (url === '/hang') return;
      let body = '';
      incoming.on('data', piece => (body += String(piece)));
      incoming.once('end', () => response.end(`${name}${body}`));
    });
    return { name, server, port: await listen(t, server), ...{ origin } };
  };
  const connect = (tunnel: KnownTunnel, port: number, tunnelOptions: Partial<TunnelOptions> = {}) =>
    world.connect(tunnel, [{ service: `http://127.0.0.1:${port}` }], tunnelOptions);

  return {
    world,
    client,
    account,
    zone,
    serve,
    connect,
    /** An origin with a tunnel of its own, connected. */
    async addOrigin(name: string, tunnelOptions: Partial<TunnelOptions> = {}): Promise<TestOrigin> {
      const { server, port, origin } = await serve(name);
      made += 1;
      const tunnel = await world.makeTunnel(`own-${made}.example.test`);
      const connector = await connect(tunnel, port, tunnelOptions);
      return Object.assign(origin, { name, tunnel, connector, server, port });
    },
    /** A pool of these origins, by their tunnels. */
    async addPool(
      name: string,
      origins: readonly { readonly name: string; readonly tunnel: KnownTunnel; readonly weight?: number }[],
      more: Partial<Parameters<typeof client.createPool>[0]['body']> = {},
    ) {
      const members = origins.map(one => ({ name: one.name, address: one.tunnel.id, weight: one.weight ?? 1 }));
      return client.createPool({ params: account, body: { name, origins: members, ...more } });
    },
    async addBalancer(
      name: string,
      pools: readonly { readonly id: string }[],
      more: Partial<Parameters<typeof client.createBalancer>[0]['body']> = {},
    ) {
      const ids = pools.map(({ id }) => id);
      const body = { name, default_pools: ids, fallback_pool: ids[0] ?? '', ...more };
      return client.createBalancer({ params: zone, body });
    },
    /** One request on a connection of its own. */
    visit: (host: string, visitOptions: VisitOptions = {}) => visit(world.httpPort, host, visitOptions),
    /** Bodies of so many answers, counted. */
    async spread(host: string, count: number, visitOptions: VisitOptions = {}): Promise<Map<string, number>> {
      const counts = new Map<string, number>();
      // A few at once: enough to be quick, too few for limits of an address.
      for (let left = count; left > 0; left -= 20) {
        const visits = Array.from({ length: Math.min(20, left) }, () => visit(world.httpPort, host, visitOptions));
        for (const { body } of await Promise.all(visits)) counts.set(body, (counts.get(body) ?? 0) + 1);
      }
      return counts;
    },
  };
}

export interface VisitOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Address that the visitor comes from. */
  readonly from?: string;
}

/** Kills a server as a process that dies: its port refuses, its connections are cut. */
export function killServer(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function visit(port: number, host: string, options: VisitOptions): Promise<VisitAnswer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ host: '127.0.0.1', port, agent: false, method: options.method ?? 'GET', path: options.path ?? '/' },
        ...(options.from === undefined ? {} : { localAddress: options.from }),
        headers: { host, ...options.headers },
      },
      response => {
        let body = '';
        response.on('data', piece => (body += String(piece))).once('error', reject);
        response.once('end', () => {
          const cookies = response.headers['set-cookie'] ?? [];
          resolve({ status: response.statusCode ?? 0, body, cookies, cookie: cookies[0]?.split(';')[0] });
        });
      },
    );
    call.once('error', reject).end(options.body);
  });
}

// The connector's local HTTP endpoint: /ready, /healthcheck, /metrics, /config, /quicktunnel. How it is served, and to
// whom, is local-server.ts. Source: docs/protocol/commands-and-api.md §13.

import { type LocalAddress, type LocalAnswer, type LocalServer, openLocalServer } from './local-server.ts';

export interface HealthSource {
  /** Registered connections now. */
  readyConnections(): number;
  readonly connectorId: string;
  /** Host name of the quick tunnel, '' for other tunnels. */
  quickTunnelHost(): string;
  /** JSON of /config. */
  configuration(): string;
  /** Prometheus text and its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

export interface HealthServerOptions {
  /** Host and port to listen on; undefined = localhost, the first free port of 20241…20245, else any. */
  readonly listen: LocalAddress | undefined;
  readonly source: HealthSource;
}

export type HealthServer = LocalServer;

/** Ports on localhost that are tried in turn when no address is given; 0 = any. */
export const defaultPorts: readonly number[] = [20241, 20242, 20243, 20244, 20245, 0];

/** Rejects with 'listen.failed'. */
export function openHealthServer({ listen, source }: HealthServerOptions): Promise<HealthServer> {
  const candidates = listen === undefined ? defaultPorts.map(port => ({ host: 'localhost', port })) : [listen];
  return openLocalServer(candidates, path => answer(path, source));
}

async function answer(path: string, source: HealthSource): Promise<LocalAnswer | undefined> {
  switch (path) {
    case '/ready': {
      const readyConnections = source.readyConnections();
      const status = readyConnections > 0 ? 200 : 503;
      return { status, text: JSON.stringify({ status, readyConnections, connectorId: source.connectorId }) };
    }
    case '/healthcheck':
      return { status: 200, text: 'OK\n' };
    case '/quicktunnel':
      return { status: 200, text: JSON.stringify({ hostname: source.quickTunnelHost() }) };
    case '/config':
      return { status: 200, text: source.configuration() };
    case '/metrics':
      return { status: 200, ...(await source.metrics()) };
    default:
      return undefined;
  }
}

// The connector's local HTTP endpoint: /ready, /healthcheck, /metrics, /config, /quicktunnel, and what answer-diagnostic.ts adds. How
// it is served, and to whom, is local-server.ts. Source: docs/protocol/commands-and-api.md §13.

import type { DiagnosticSource } from './diagnostic-source.ts';
import {
  type LocalAddress,
  type LocalAnswer,
  type LocalRequest,
  type LocalServer,
  openLocalServer,
} from './local-server.ts';

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
  /** Of each tunnel, for /diag/* and /debug/pprof/*; none or undefined = not served. */
  readonly diagnostics?: (() => readonly DiagnosticSource[]) | undefined;
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
  return openLocalServer(candidates, (path, request) => answer(path, request, source));
}

async function answer(path: string, request: LocalRequest, source: HealthSource): Promise<LocalAnswer | undefined> {
  switch (path) {
    case '/ready': {
      const readyConnections = source.readyConnections();
      const status = readyConnections > 0 ? 200 : 503;
      return { status, body: JSON.stringify({ status, readyConnections, connectorId: source.connectorId }) };
    }
    case '/healthcheck':
      return { status: 200, body: 'OK\n' };
    case '/quicktunnel':
      return { status: 200, body: JSON.stringify({ hostname: source.quickTunnelHost() }) };
    case '/config':
      return { status: 200, body: source.configuration() };
    case '/metrics': {
      const { text, contentType } = await source.metrics();
      return { status: 200, body: text, contentType };
    }
    default:
      return answerDiagnostics(path, request, source.diagnostics?.() ?? []);
  }
}

const diagnosticPath = /^\/(diag|debug\/pprof)\//;

/** Loaded when somebody asks. */
async function answerDiagnostics(
  path: string,
  request: LocalRequest,
  sources: readonly DiagnosticSource[],
): Promise<LocalAnswer | undefined> {
  if (sources.length === 0 || !diagnosticPath.test(path)) return undefined;
  const { answerDiagnostic } = await import('./answer-diagnostic.ts');
  return answerDiagnostic(path, request, sources);
}

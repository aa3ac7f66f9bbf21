// The edge's local HTTP endpoint for its operator: /metrics, /healthcheck (the process answers) and /ready (200 while it
// serves, else 503 with the reason; `"store":"away"` while the database is). Source: docs/protocol/commands-and-api.md §13, for the connector's.

import { X509Certificate } from 'node:crypto';
import type { Certificates } from '../certificates/open-certificates.ts';
import { describeError, PosternError } from '../errors/error.ts';
import { exposeMetrics } from '../management/expose-metrics.ts';
import { type LocalAddress, type LocalAnswer, type LocalServer, openLocalServer } from '../management/local-server.ts';
import type { BuildInfo } from '../management/metric-values.ts';
import { withDeadline } from '../net/time/deadline.ts';
import { gauge, type MetricFamily } from '../telemetry/metrics.ts';

export interface MetricsListenerOptions {
  readonly listen: LocalAddress;
  readonly build: BuildInfo;
  readonly families: readonly MetricFamily[];
  /** Registered connections of connectors now. */
  readonly connections: () => number;
  readonly certificates: Pick<Certificates, 'tls' | 'visitorTls'>;
  /** Why visitors cannot be served, as one line; undefined = they can. A rejection is a reason too. */
  readonly unready: () => Promise<string | undefined>;
  /** False while the database server is away: visitors are served, changes are refused. */
  readonly isStoreReachable: () => boolean;
}

/** How long the edge may take to find out: the store answers in less than a millisecond. */
const unreadyTimeoutMs = 3_000;
const noAnswer = (): PosternError =>
  new PosternError('health.failed', `No answer within ${unreadyTimeoutMs / 1_000} s`);

/** Listens. Rejects with 'listen.failed'. */
export function openMetricsListener(options: MetricsListenerOptions): Promise<LocalServer> {
  const { build, certificates, connections, families, listen } = options;
  let isReady = false;
  const all: MetricFamily[] = [
    gauge('postern_ready', 'Whether visitors can be served, as /ready says', [], () => [[{}, isReady ? 1 : 0]]),
    gauge('postern_certificate_expiry_timestamp_seconds', 'When certificates end', ['listener'], () => [
      [{ listener: 'connectors' }, endOf(certificates.tls.cert)],
      [{ listener: 'visitors' }, endOf(certificates.visitorTls.cert)],
    ]),
    gauge('postern_store_reachable', 'Whether the database answers; without it changes are refused', [], () => [
      [{}, options.isStoreReachable() ? 1 : 0],
    ]),
    gauge('postern_connector_connections', 'Registered connections of connectors', [], () => [[{}, connections()]]),
    ...families,
  ];
  const expose = exposeMetrics(build, all);
  return openLocalServer([listen], async path => {
    switch (path) {
      case '/ready':
        return readiness(connections(), await reasonOf(options.unready), options.isStoreReachable());
      case '/healthcheck':
        return { status: 200, body: 'OK\n' };
      case '/metrics': {
        isReady = (await reasonOf(options.unready)) === undefined;
        const { text, contentType } = await expose();
        return { status: 200, body: text, contentType };
      }
      default:
        return undefined;
    }
  });
}

function readiness(connections: number, reason: string | undefined, isStoreReachable: boolean): LocalAnswer {
  const status = reason === undefined ? 200 : 503;
  return {
    status,
    body: JSON.stringify({ status, connections, reason, store: isStoreReachable ? undefined : 'away' }),
  };
}

/** Of the first certificate of the chain, in seconds since the epoch. */
function endOf(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime() / 1_000;
}

async function reasonOf(unready: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await withDeadline(unready(), unreadyTimeoutMs, noAnswer);
  } catch (error) {
    return describeError(error);
  }
}

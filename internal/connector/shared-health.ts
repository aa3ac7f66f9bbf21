// One health and metrics server for several tunnels of a process: every sample says of which tunnel it is. Source:
// docs/protocol/commands-and-api.md §13.

import { connectorMetrics } from '../management/connector-metrics.ts';
import { exposeMetrics } from '../management/expose-metrics.ts';
import { type HealthServer, type HealthServerOptions, openHealthServer } from '../management/health-server.ts';
import { formatHostPort } from '../net/address/host-port.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { HistogramSample, MetricFamily, MetricSample } from '../telemetry/metrics.ts';
import type { Tunnel } from './tunnel.ts';

export interface SharedHealth extends AsyncDisposable {
  /** The tunnel is shown from now on, until the returned function is called. */
  add(tunnelId: string, tunnel: Tunnel): () => void;
}

export interface SharedHealthOptions extends Pick<HealthServerOptions, 'listen'> {
  readonly version: string;
  readonly logger: Logger;
}

/** Rejects with 'listen.failed'. */
export async function openSharedHealth({ listen, logger, version }: SharedHealthOptions): Promise<SharedHealth> {
  const tunnels = new Map<string, Tunnel>();
  const build = { version, runtime: `node ${process.version}` };
  let expose: ReturnType<typeof exposeMetrics> | undefined;
  const server: HealthServer = await openHealthServer({
    listen,
    source: {
      readyConnections: () => [...tunnels.values()].reduce((sum, { connector }) => sum + connector.readyCount, 0),
      connectorId: '',
      quickTunnelHost: () => '',
      configuration: () =>
        JSON.stringify({
          tunnels: [...tunnels].map(([id, { connector, orchestrator }]) => {
            return { id, version: orchestrator.version, readyConnections: connector.readyCount };
          }),
        }),
      diagnostics: () => [...tunnels.values()].flatMap(({ diagnostics }) => diagnostics ?? []),
      metrics: () => {
        expose ??= exposeMetrics(build, mergeFamilies(tunnels));
        return expose();
      },
    },
  });
  logger.info(`Starting metrics server on ${formatHostPort(server.address.host, server.address.port)}/metrics`);
  return {
    add: (tunnelId, tunnel) => {
      tunnels.set(tunnelId, tunnel);
      expose = undefined;
      return () => {
        tunnels.delete(tunnelId);
        expose = undefined;
      };
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

const label = 'tunnel_id';

/** Families of one name become one, whose samples have the tunnel's id. */
function mergeFamilies(tunnels: ReadonlyMap<string, Tunnel>): readonly MetricFamily[] {
  const byName = new Map<string, MetricFamily[]>();
  for (const [id, { metrics }] of tunnels) {
    for (const family of connectorMetrics(metrics)) {
      const labelled = withTunnel(family, id);
      const known = byName.get(family.name);
      if (known === undefined) byName.set(family.name, [labelled]);
      else known.push(labelled);
    }
  }
  return [...byName.values()].map(join);
}

function withTunnel(family: MetricFamily, id: string): MetricFamily {
  const labelNames = [...family.labelNames, label];
  if (family.kind === 'histogram') {
    const read = (): HistogramSample[] => family.read().map(([labels, value]) => [{ ...labels, [label]: id }, value]);
    return { ...family, labelNames, read };
  }
  const read = (): MetricSample[] => family.read().map(([labels, value]) => [{ ...labels, [label]: id }, value]);
  return { ...family, labelNames, read };
}

function join(families: readonly MetricFamily[]): MetricFamily {
  const [first] = families;
  if (first === undefined) throw new RangeError('no family');
  // Families of one name are of one kind: the same code made them.
  const read = () => families.flatMap(family => family.read() as never[]);
  return { ...first, read };
}

// Public TCP and UDP ports as a feature of an edge: ports that accounts get for their tunnels, the listeners on them, the API
// on both. docs/public-ports.md says what they promise.

import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import { errorFields } from '../../errors/error.ts';
import { AddressLimiter } from '../../net/limits/address-limiter.ts';
import { Refusals } from '../../net/limits/refusals.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { PublicPortRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { followTable } from '../../store/follow/follow-table.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { counter, gauge, type MetricFamily } from '../../telemetry/metrics.ts';
import { edgeLimits, type PortRefusal } from './open-port.ts';
import { createPortHandlers } from './port-handlers.ts';
import type { PortRange } from './port-range.ts';
import { PublicPorts } from './ports.ts';

export interface PublicPortsParts {
  readonly store: Store;
  readonly network: PrivateNetwork;
  readonly logger: Logger;
  /** Address that the ports are listened on. */
  readonly host: string;
  /** Empty = none are given out, and none are listened on. */
  readonly ranges: readonly PortRange[];
}

export interface PublicPortsFeature extends AsyncDisposable {
  readonly api: readonly ServedCall[];
  readonly metrics: readonly MetricFamily[];
  /** Takes nobody new; the private network waits for the flows of those who are there. */
  drain(timeoutMs: number): Promise<void>;
}

/** Listens on the ports that the store has, and follows it. Throws 'store.failed'; a port that is not free is tried again. */
export async function openPublicPorts(parts: PublicPortsParts): Promise<PublicPortsFeature> {
  const { store, logger, ranges } = parts;
  const counts = { tcp: { active: 0, opened: 0 }, udp: { active: 0, opened: 0 } };
  const refusals = new Refusals<PortRefusal>(logger, 'Visitors of public ports were turned away');
  const ports = new PublicPorts({ ...parts, places: new AddressLimiter(edgeLimits), counts, refusals });
  const stop = await followTable<readonly PublicPortRecord[]>(store.changes, {
    read: () => store.publicPorts.list(),
    replace: routes => ports.replace(routes),
    apply: change => {
      if (change.kind === 'public-port-added') ports.add(change.route);
      else if (change.kind === 'public-port-removed') ports.remove(change.route);
      else return false;
      return true;
    },
    onError: error => logger.error(errorFields(error), 'Cannot read public ports'),
  });
  const protocols = ['tcp', 'udp'] as const;
  return {
    api: serveTable(createPortHandlers({ store, ports, ranges, now: Date.now })),
    metrics: [
      gauge('postern_public_ports', 'Public ports of tunnels, listened on or not', ['state'], () =>
        Object.entries(ports.count()).map(([state, count]) => [{ state }, count]),
      ),
      gauge('postern_public_port_connections', 'Connections and UDP sessions of public ports', ['protocol'], () =>
        protocols.map(protocol => [{ protocol }, counts[protocol].active]),
      ),
      counter('postern_public_port_opened_total', 'Connections and UDP sessions admitted', ['protocol'], () =>
        protocols.map(protocol => [{ protocol }, counts[protocol].opened]),
      ),
      counter('postern_public_port_refused_total', 'Visitors of public ports turned away', ['reason'], () =>
        [...refusals.counts].map(([reason, count]) => [{ reason }, count]),
      ),
    ],
    drain: () => {
      ports.stop();
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => {
      stop();
      return ports.close();
    },
  };
}

// TLS passthrough as a feature of an edge: connections for host names whose owner chose so go to the connector unopened, to
// the ingress rule for TCP of the name. The edge sees the server name and nothing else. docs/tls-passthrough.md says more.

import type { Socket } from 'node:net';
import { errorFields } from '../../errors/error.ts';
import { plainAddress } from '../../net/address/ip.ts';
import { proxyHeader } from '../../net/proxy-protocol/proxy-header.ts';
import { joinFlow } from '../../on-ramps/entrance/join-flow.ts';
import type { OpenFlow } from '../../private-network/flows/flow-tracker.ts';
import type { PrivateNetwork } from '../../private-network/private-network.ts';
import type { Visitor } from '../../private-network/visitor.ts';
import type { StoreChange } from '../../store/contract/changes.ts';
import type { Store } from '../../store/contract/store.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { counter, type MetricFamily } from '../../telemetry/metrics.ts';
import type { HostnameTable, TunnelRoute } from '../../visitors/routing/hostname-table.ts';

export interface TlsPassthroughParts {
  readonly store: Store;
  readonly hostnames: HostnameTable;
  readonly network: PrivateNetwork;
  readonly logger: Logger;
}

export interface TlsPassthrough extends AsyncDisposable {
  readonly passthrough: (serverName: string) => ((socket: Socket) => void) | undefined;
  readonly metrics: readonly MetricFamily[];
}

/** After a change that other edges made, the table of host names is read again: until then it says what was. */
const recheckMs = { own: 0, reset: 2_000 };
/** A connection may say nothing for as long as one over HTTP/2 through the edge: an hour, as on public ports. */
const idleMs = 3_600_000;

/** Follows the store to cut connections whose name leads elsewhere; nothing else is opened. */
export function openTlsPassthrough(parts: TlsPassthroughParts): TlsPassthrough {
  const { store, hostnames, network, logger } = parts;
  const flows = new Map<OpenFlow, { readonly serverName: string; readonly socket: Socket }>();
  const counts = { passed: 0, failed: 0 };
  const routeFor = (serverName: string): TunnelRoute | undefined => {
    const route = hostnames.routeOf(serverName);
    if (route?.tunnelId === undefined || route.tls === undefined || route.tls === 'terminate') return undefined;
    return route;
  };
  let timer: NodeJS.Timeout | undefined;
  const recheck = (): void => {
    for (const [flow, { serverName, socket }] of flows) {
      if (routeFor(serverName)?.tunnelId === flow.tunnelId) continue;
      flow.cut('route-changed');
      if (!socket.destroyed) socket.resetAndDestroy();
    }
  };
  const stop = store.changes.subscribe(({ kind }: StoreChange) => {
    if (kind !== 'hostname-routed' && kind !== 'hostname-removed' && kind !== 'reset') return;
    clearTimeout(timer);
    timer = setTimeout(recheck, kind === 'reset' ? recheckMs.reset : recheckMs.own).unref();
  });

  const serve = async (socket: Socket, serverName: string, route: TunnelRoute): Promise<void> => {
    const sourceAddress = plainAddress(socket.remoteAddress);
    const { remotePort: sourcePort = 0, localAddress = '', localPort: destinationPort = 0 } = socket;
    const vnet = network.routes.networkOf(route.accountTag);
    if (vnet === undefined) {
      socket.destroy();
      return;
    }
    const who: Visitor = { onRamp: 'tls-passthrough', network: vnet, sourceAddress, sourcePort };
    try {
      const opened = await network.through.openIngress(who, route.tunnelId, serverName, socket);
      const { stream, flow } = opened;
      if (socket.destroyed || routeFor(serverName)?.tunnelId !== route.tunnelId) {
        flow.cut('route-changed');
        socket.destroy();
        return;
      }
      counts.passed += 1;
      flows.set(flow, { serverName, socket });
      socket.once('close', () => flows.delete(flow));
      const version = versionOf(route);
      if (version !== undefined) {
        const destination = { destinationAddress: plainAddress(localAddress), destinationPort };
        stream.write(proxyHeader(version, { transport: 'tcp', sourceAddress, sourcePort, ...destination }));
      }
      socket.setTimeout(idleMs, () => {
        flow.cut('idle');
        socket.destroy();
      });
      joinFlow(socket, opened);
    } catch (error) {
      counts.failed += 1;
      logger.debug(
        { host: serverName, src: sourceAddress, ...errorFields(error) },
        'A TLS connection was not passed on',
      );
      if (!socket.destroyed) socket.resetAndDestroy();
    }
  };
  return {
    passthrough: serverName => {
      const route = routeFor(serverName);
      return route && (socket => void serve(socket, serverName, route));
    },
    metrics: [
      counter('postern_tls_passthrough_total', 'TLS connections for the connector to open', ['outcome'], () =>
        Object.entries(counts).map(([outcome, count]) => [{ outcome }, count]),
      ),
    ],
    [Symbol.asyncDispose]: () => {
      stop();
      clearTimeout(timer);
      return Promise.resolve();
    },
  };
}

function versionOf({ tls }: TunnelRoute): 'v1' | 'v2' | undefined {
  if (tls === 'passthrough-v1') return 'v1';
  return tls === 'passthrough-v2' ? 'v2' : undefined;
}

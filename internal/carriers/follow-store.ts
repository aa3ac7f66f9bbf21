// Registered connections follow the store: a deleted tunnel loses its connections, and a new configuration is offered to
// them, whether this edge wrote it or another one on the same state directory.

import { errorFields } from '../errors/error.ts';
import type { TunnelId } from '../schema/api/id.ts';
import type { Store } from '../store/contract/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ConnectorRegistry } from './connector-registry.ts';

/** When tunnels that could not be read are read again. */
const retryMs = 1_000;

/** Follows until the returned function is called. */
export function followStore(store: Store, registry: ConnectorRegistry, logger: Logger): () => void {
  let checking = false;
  let again = false;
  let stopped = false;
  let retry: NodeJS.Timeout | undefined;
  /** Anything may have changed. One tunnel after the other: a thousand at once would keep other calls of the store waiting. */
  const checkAll = async (): Promise<void> => {
    again = true;
    if (checking) return;
    checking = true;
    clearTimeout(retry);
    try {
      while (again && !stopped) {
        again = false;
        for (const tunnelId of registry.tunnels()) await catchUp(store, registry, tunnelId);
      }
    } catch (error) {
      logger.error(errorFields(error), 'Cannot read the tunnels that others changed; it is tried again');
      retry = stopped ? undefined : setTimeout(() => void checkAll(), retryMs).unref();
    } finally {
      checking = false;
    }
  };
  const unsubscribe = store.changes.subscribe(change => {
    if (change.kind === 'tunnel-deleted') registry.disconnect(change.tunnelId);
    else if (change.kind === 'configuration') {
      const { configuration } = change;
      for (const one of registry.connectionsOf(configuration.tunnelId)) one.configurations.offer(configuration);
    } else if (change.kind === 'reset') void checkAll();
  });
  return () => {
    stopped = true;
    clearTimeout(retry);
    unsubscribe();
  };
}

/** Ends the connections of a tunnel that is gone, and offers a configuration that they were not offered yet. */
async function catchUp(store: Store, registry: ConnectorRegistry, tunnelId: TunnelId): Promise<void> {
  const tunnel = await store.tunnels.find(tunnelId);
  if (tunnel === undefined || tunnel.deletedAtMs !== undefined) {
    registry.disconnect(tunnelId);
    return;
  }
  const stale = registry.connectionsOf(tunnelId).filter(one => one.configurations.offered < tunnel.configVersion);
  if (stale.length === 0) return;
  const configuration = await store.tunnels.configuration(tunnelId);
  if (configuration !== undefined) for (const one of stale) one.configurations.offer(configuration);
}

// Registered connections follow the store: a deleted tunnel loses its connections, and what another edge on the same state
// directory changed reaches the connectors of this one.

import { describeError } from '../errors/error.ts';
import type { TunnelId } from '../schema/api-id.ts';
import type { Store } from '../store/contract/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ConnectorRegistry } from './connector-registry.ts';
import { pushConfiguration } from './push-configuration.ts';

/** Follows until the returned function is called. */
export function followStore(store: Store, registry: ConnectorRegistry, logger: Logger): () => void {
  const checks = new Map<TunnelId, 'running' | 'again'>();
  const check = async (tunnelId: TunnelId): Promise<void> => {
    // One at a time for each tunnel, and one more for all that was announced meanwhile.
    if (checks.has(tunnelId)) {
      checks.set(tunnelId, 'again');
      return;
    }
    do {
      checks.set(tunnelId, 'running');
      try {
        await catchUp(store, registry, tunnelId, logger);
      } catch (error) {
        logger.error({ tunnelID: tunnelId, error: describeError(error) }, 'Cannot read a tunnel that others changed');
      }
    } while (checks.get(tunnelId) === 'again');
    checks.delete(tunnelId);
  };
  return store.changes.subscribe(change => {
    if (change.kind === 'tunnel-deleted') registry.disconnect(change.tunnelId);
    else if (change.kind === 'reset') for (const tunnelId of registry.tunnels()) void check(tunnelId);
  });
}

/** Ends the connections of a tunnel that is gone, and pushes a configuration they do not have. */
async function catchUp(store: Store, registry: ConnectorRegistry, tunnelId: TunnelId, logger: Logger): Promise<void> {
  const tunnel = await store.tunnels.find(tunnelId);
  if (tunnel === undefined || tunnel.deletedAtMs !== undefined) {
    registry.disconnect(tunnelId);
    return;
  }
  if (tunnel.configVersion === 0) return;
  const stale = registry.connectionsOf(tunnelId).filter(one => one.configurationVersion < tunnel.configVersion);
  if (stale.length === 0) return;
  const configuration = await store.tunnels.configuration(tunnelId);
  if (configuration === undefined) return;
  await Promise.all(stale.map(one => pushConfiguration(one, configuration.version, configuration.config, logger)));
}

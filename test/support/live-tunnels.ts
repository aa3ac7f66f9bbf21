// Who is connected, as a test says: what the control plane asks of a running edge, without one.

import type { ActiveClient, LiveConnection, LiveConnections } from '../../internal/carriers/live-connections.ts';
import { tunnelState } from '../../internal/carriers/tunnel-state.ts';
import type { TunnelId } from '../../internal/schema/api/id.ts';

export class LiveTunnels implements LiveConnections {
  /** Filled by the test. */
  readonly clients = new Map<TunnelId, ActiveClient[]>();
  /** Tunnels whose connections were closed, in order, and of which connector. */
  readonly disconnected: [TunnelId, string | undefined][] = [];

  async list(id: TunnelId): Promise<readonly ActiveClient[]> {
    return this.clients.get(id) ?? [];
  }

  async states(ids: readonly TunnelId[]) {
    return new Map(ids.map(id => [id, tunnelState(this.clients.get(id) ?? [], undefined, Date.now())] as const));
  }

  async tunnels(): Promise<ReadonlySet<TunnelId>> {
    return new Set(this.clients.keys());
  }

  disconnect(id: TunnelId, clientId?: string): void {
    this.disconnected.push([id, clientId]);
  }
}

export function liveClient(parts: Partial<ActiveClient> = {}): ActiveClient {
  return {
    ...{
      id: '0c0c0c0c-0c0c-4c0c-8c0c-0c0c0c0c0c0c',
      features: [],
      version: '',
      arch: '',
      runAtMs: 0,
      connections: [],
      missing: [],
      configVersion: 0,
    },
    ...parts,
  };
}

export function liveConnection(parts: Partial<LiveConnection> & Pick<LiveConnection, 'id'>): LiveConnection {
  const { id } = parts;
  return {
    ...{
      id,
      index: 0,
      protocol: 'quic',
      location: 'lhr01',
      originIp: '192.0.2.9',
      openedAtMs: 0,
      pendingReconnect: false,
    },
    ...parts,
  };
}

// A real control plane on a port of its own: store, accounts and API server in a temporary state directory, with the
// pointer file through which commands of the same "user" find it.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ActiveClient } from '../../internal/carriers/live-connections.ts';
import { ensureLocalAccounts, type LocalAccounts } from '../../internal/control-plane/accounts.ts';
import { createControlPlane } from '../../internal/control-plane/control-plane.ts';
import { writeEdgePointer } from '../../internal/credentials/edge-pointer.ts';
import { openPeople } from '../../internal/features/people/open.ts';
import { openPrivateNetworkApi } from '../../internal/features/private-network-api/open.ts';
import { openZoneApi } from '../../internal/features/zone-api/open.ts';
import type { TunnelId } from '../../internal/schema/api/id.ts';
import type { Store } from '../../internal/store/contract/store.ts';
import { createSecretBox } from '../../internal/store/secret-box.ts';
import { openSqliteStore, type SqliteStoreOptions } from '../../internal/store/sqlite/thread/sqlite-store.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import { LiveTunnels } from './live-tunnels.ts';

export interface TestControlPlane extends AsyncDisposable {
  /** A home directory whose ~/.postern/edge.json names this edge. */
  readonly home: string;
  readonly stateDir: string;
  readonly apiUrl: string;
  readonly store: Store;
  readonly accounts: LocalAccounts;
  /** Connectors that the API shows as connected, by tunnel. */
  readonly live: Map<TunnelId, ActiveClient[]>;
  /** Tunnels whose connections were closed, in order. */
  readonly disconnected: TunnelId[];
}

export const testEdge = { addresses: ['192.0.2.1:7844'], caPin: 'ab'.repeat(32) };

export async function openTestControlPlane(options: Partial<SqliteStoreOptions> = {}): Promise<TestControlPlane> {
  const home = mkdtempSync(join(tmpdir(), 'postern-home-'));
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-state-'));
  const store = await openSqliteStore({ path: join(stateDir, 'edge.db'), ...options });
  const live = new LiveTunnels();
  const server = createServer(
    createControlPlane({
      store,
      secrets: createSecretBox(randomBytes(32)),
      live,
      describeEdge: () => testEdge,
      calls: [...openPrivateNetworkApi({ store }).api, ...openZoneApi({ store }).api, ...openPeople({ store }).api],
      logger: silentLogger(),
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const apiUrl = `${origin}/client/v4`;
  const accounts = await ensureLocalAccounts(store, { stateDir, domain: 'example.com', apiUrl });
  writeEdgePointer(join(home, '.postern'), { apiUrl, quickServiceUrl: origin, stateDir, pid: process.pid });
  return {
    ...{ home, stateDir, apiUrl, store, accounts, live: live.clients },
    get disconnected() {
      return live.disconnected.map(([id]) => id);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await store.close();
      for (const directory of [home, stateDir]) rmSync(directory, { recursive: true });
    },
  };
}

// The path from connectors to one edge: TCP and UDP relays on one port number, each of which can be blocked, as a
// firewall does. For tests of choosing between QUIC and HTTP/2.

import type { TestContext } from 'node:test';
import { openTcpRelay, type TcpRelay } from './tcp-relay.ts';
import { createUdpRelay, type UdpRelay, type UdpRelayOptions } from './udp-relay.ts';

export interface EdgePath {
  readonly port: number;
  readonly udp: UdpRelay;
  readonly tcp: TcpRelay;
}

export type PathOptions = Omit<UdpRelayOptions, 'targetPort' | 'seed' | 'port'>;

/** A free TCP port may be taken for UDP: other numbers are tried. */
const attempts = 10;

/** In front of 127.0.0.1:`targetPort`; `options` spoil UDP only. Closed with the test. */
export async function openEdgePath(t: TestContext, targetPort: number, options: PathOptions = {}): Promise<EdgePath> {
  for (let attempt = 1; ; attempt += 1) {
    const udp = await createUdpRelay({ ...options, targetPort, seed: 1 });
    try {
      const tcp = await openTcpRelay({ host: '127.0.0.1', port: targetPort }, 0, udp.port);
      t.after(() => Promise.all([udp.close(), tcp.close()]));
      return { port: udp.port, udp, tcp };
    } catch (error) {
      await udp.close();
      if (attempt === attempts) throw error;
    }
  }
}

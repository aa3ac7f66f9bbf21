// From the host in a SOCKS message to a destination in a private network.

import { unmapIpv4 } from '../../net/address/ip.ts';
import type { SocksHost } from '../../net/socks/codec.ts';
import { type PrivateHost, parsePrivateHost } from '../../private-network/routes/private-host.ts';

/** Undefined for a name that is none. */
export function privateHostOf(host: SocksHost): PrivateHost | undefined {
  return host.kind === 'address' ? { kind: 'address', address: unmapIpv4(host.address) } : parsePrivateHost(host.name);
}

// Edge addresses given by the user (`--edge host:port`, repeatable) instead of discovery. Source:
// docs/protocol/edge-protocol.md §2.2. Differs on purpose: a host name yields all addresses of its preferred family,
// not one.

import { isIP } from 'node:net';
import { PosternError } from '../errors/error.ts';
import { formatHostPort, type HostPort } from '../net/address/host-port.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Dns } from './dns.ts';
import { createEdgeAddress, type EdgeAddress, type EdgeRegions } from './edge-address.ts';

/**
 * Resolves every target; those that do not resolve are logged and skipped. Addresses are dealt to the regions in turn.
 * Rejects with 'discovery.failed' when none resolves.
 */
export async function resolveStaticEdge(targets: readonly HostPort[], dns: Dns, logger: Logger): Promise<EdgeRegions> {
  const regions: [EdgeAddress[], EdgeAddress[]] = [[], []];
  let next = 0;
  for (const { host, port } of targets) {
    let ips: readonly string[];
    try {
      ips = preferredFamily(await dns.addresses(host));
    } catch (error) {
      logger.error({ error: String(error) }, `Could not resolve edge address ${formatHostPort(host, port)}`);
      continue;
    }
    for (const ip of ips) {
      regions[next % 2 === 0 ? 0 : 1].push(createEdgeAddress(ip, port));
      next += 1;
    }
  }
  if (next === 0) {
    const shown = targets.map(({ host, port }) => formatHostPort(host, port));
    throw new PosternError('discovery.failed', `Failed to resolve any edge address of: ${shown.join(', ')}`);
  }
  return regions;
}

/** IPv4 if there is any: a name such as `localhost` has both, and an edge often listens on one only. */
function preferredFamily(ips: readonly string[]): readonly string[] {
  const v4 = ips.filter(ip => isIP(ip) === 4);
  return v4.length > 0 ? v4 : ips;
}

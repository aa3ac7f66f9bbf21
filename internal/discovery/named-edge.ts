// Edge addresses as names, for a machine whose only way out is a forward proxy: the proxy resolves them, nothing is looked up
// here. Source: docs/protocol/edge-protocol.md §2.1 (the names of Cloudflare's two regions), §2.2.

import type { HostPort } from '../net/address/host-port.ts';
import { createEdgeAddress, type EdgeRegions } from './edge-address.ts';

const cloudflarePort = 7844;

/** The given addresses, dealt to the regions in turn; without any, the two names of Cloudflare's `region` ('' = global). */
export function nameEdge(targets: readonly HostPort[], region: string | undefined): EdgeRegions {
  const prefix = region === undefined || region === '' ? '' : `${region}-`;
  const names =
    targets.length > 0
      ? targets
      : [1, 2].map(index => ({ host: `${prefix}region${index}.v2.argotunnel.com`, port: cloudflarePort }));
  const addresses = names.map(({ host, port }) => createEdgeAddress(host, port));
  return [addresses.filter((_, index) => index % 2 === 0), addresses.filter((_, index) => index % 2 === 1)];
}

// Looks names up at resolvers that were named, not at the system's. Source: docs/protocol/ingress-and-origin.md §11
// (names of private networks are those of the connector's network).

import { type LookupAddress, Resolver } from 'node:dns';
import { formatIpPort } from '../../net/address/host-port.ts';
import type { ResolverAddress } from '../../net/address/virtual-dns.ts';
import type { NameLookup } from './dial.ts';

const timeoutMs = 2_000;
const tries = 2;

/** Undefined without resolvers. They are asked in their order, each when the one before gives no answer. */
export function resolverLookup(resolvers: readonly ResolverAddress[]): NameLookup | undefined {
  if (resolvers.length === 0) return undefined;
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  resolver.setServers(resolvers.map(({ address, port }) => formatIpPort(address, port)));
  return (host, { family }, done) => {
    const found: LookupAddress[] = [];
    let failure: NodeJS.ErrnoException | null = null;
    const asked = family === 4 || family === 6 ? [family] : [4, 6];
    let waiting = asked.length;
    for (const one of asked) {
      const take = (error: NodeJS.ErrnoException | null, addresses: readonly string[] = []): void => {
        failure ??= error;
        for (const address of addresses) found.push({ address, family: one });
        waiting -= 1;
        if (waiting > 0) return;
        // A name may well have addresses of one family only.
        if (found.length > 0)
          done(
            null,
            found.sort((a, b) => a.family - b.family),
          );
        else done(failure ?? Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' }), []);
      };
      if (one === 4) resolver.resolve4(host, take);
      else resolver.resolve6(host, take);
    }
  };
}

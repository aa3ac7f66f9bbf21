// Where a connector finds its edge and what it trusts there: given addresses, or Cloudflare's network by DNS with its
// roots fetched and kept. Source: docs/protocol/edge-protocol.md §2, §5.

import type { EdgeIpVersion } from '../discovery/address-pool.ts';
import { discoverEdge } from '../discovery/discover.ts';
import { createDns, type Dns } from '../discovery/dns.ts';
import { cloudflareDnsOverTls, createDnsOverTls } from '../discovery/dns-over-tls.ts';
import type { EdgeRegions } from '../discovery/edge-address.ts';
import { EdgeDirectory } from '../discovery/edge-directory.ts';
import { nameEdge } from '../discovery/named-edge.ts';
import { resolveStaticEdge } from '../discovery/static-edge.ts';
import { cloudflareRootUrls, openTrustRoots } from '../discovery/trust-roots.ts';
import type { HostPort } from '../net/address/host-port.ts';
import type { ForwardProxy } from '../net/proxy/forward-proxy.ts';
import type { Clock } from '../net/time/clock.ts';
import { systemRoots } from '../net/trust/system-roots.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { EdgeTrust } from './loop/loop-context.ts';

/** Where the edge is and how it is trusted. */
export interface EdgeSettings {
  /** `host:port` entries; empty = Cloudflare's network, by DNS. */
  readonly addresses: readonly HostPort[];
  /** `us`, `fed`, … for discovery. */
  readonly region: string | undefined;
  readonly ipVersion: EdgeIpVersion;
  /** Source address of connections to the edge; fixes the address family. */
  readonly bindAddress: string | undefined;
  /** PEM certificates that alone are trusted; undefined = the pin, else the system's (and Cloudflare's when discovered). */
  readonly ca: readonly string[] | undefined;
  /** See DialOptions; ignored when `ca` is given. */
  readonly caPin: string | undefined;
  /** The way to the edge leads through it; names are then resolved by the proxy alone. Undefined = none. */
  readonly proxy?: ForwardProxy | undefined;
  /** See LoopContext. */
  readonly sharedPort?: number | undefined;
  /** Where Cloudflare's roots are kept. */
  readonly rootsFile: string;
  /** Resolver for discovery and names of edges; undefined = the machine's. */
  readonly dns?: Dns | undefined;
}

/** Nothing is looked up before the first address is asked for. */
export function openDirectory(edge: EdgeSettings, clock: Clock, random: () => number, logger: Logger): EdgeDirectory {
  const dns = edge.dns ?? createDns();
  const isStatic = edge.addresses.length > 0 || edge.proxy !== undefined;
  const find = (): Promise<EdgeRegions> =>
    edge.proxy !== undefined
      ? Promise.resolve(nameEdge(edge.addresses, edge.region))
      : isStatic
        ? resolveStaticEdge(edge.addresses, dns, logger)
        : discoverEdge({ dns, fallback: createDnsOverTls(cloudflareDnsOverTls), region: edge.region, random, logger });
  return new EdgeDirectory({
    find,
    version: isStatic ? 'auto' : edge.ipVersion,
    share: isStatic,
    random,
    nowMs: () => clock.monotonicMs(),
    logger,
  });
}

/** What LoopContext.trust asks. Fetched roots are kept for the life of the tunnel; a failed fetch is tried again at the next dial. */
export function createTrust(edge: EdgeSettings, clock: Clock, logger: Logger): () => Promise<EdgeTrust> {
  if (edge.ca !== undefined) return () => Promise.resolve({ ca: edge.ca, caPin: undefined });
  if (edge.caPin !== undefined) return () => Promise.resolve({ ca: undefined, caPin: edge.caPin });
  if (edge.addresses.length > 0) return () => Promise.resolve({ ca: undefined, caPin: undefined });
  let known: Promise<EdgeTrust> | undefined;
  return () => {
    known ??= openTrustRoots({
      cacheFile: edge.rootsFile,
      urls: cloudflareRootUrls,
      proxy: edge.proxy,
      nowMs: () => clock.wallMs(),
      logger,
    }).then(
      roots => ({ ca: [...systemRoots(), ...roots], caPin: undefined }),
      (error: unknown) => {
        known = undefined;
        throw error;
      },
    );
    return known;
  };
}

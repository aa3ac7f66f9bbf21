// Finds the addresses of Cloudflare's edge: SRV records of the two regions, with DNS over TLS as the fallback, and the
// addresses of their targets. Source: docs/protocol/edge-protocol.md §2.1. Differs on purpose: one target without
// addresses does not fail the whole discovery while the other has some.

import { PosternError } from '../errors/error.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Dns, SrvRecord } from './dns.ts';
import { createEdgeAddress, type EdgeAddress, type EdgeRegions } from './edge-address.ts';
import { orderSrv } from './srv-order.ts';

export interface DiscoverOptions {
  readonly dns: Dns;
  /** Asked when `dns` fails. */
  readonly fallback: Dns;
  /** `us`, `fed`; undefined or '' = global. */
  readonly region?: string | undefined;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** The SRV name of a region; '' or undefined is the global one. */
export function srvName(region: string | undefined): string {
  const prefix = region === undefined || region === '' ? '' : `${region}-`;
  return `_${prefix}v2-origintunneld._tcp.argotunnel.com`;
}

/** Rejects with 'discovery.failed'. */
export async function discoverEdge(options: DiscoverOptions): Promise<EdgeRegions> {
  const name = srvName(options.region);
  const { records, dns } = await lookUpSrv(options, name);
  const ordered = orderSrv(records, options.random);
  if (ordered.length < 2) {
    throw new PosternError(
      'discovery.failed',
      `Expected SRV records of at least 2 regions under ${name}, found ${ordered.length}`,
    );
  }
  const results = await Promise.allSettled(ordered.slice(0, 2).map(record => resolveTarget(dns, options, record)));
  const [first = [], second = []] = results.map(result => {
    if (result.status === 'fulfilled') return result.value;
    options.logger.warn({ error: String(result.reason) }, "Could not resolve one region's edge addresses");
    return [];
  });
  if (first.length + second.length === 0) {
    throw new PosternError('discovery.failed', `No target of ${name} has an address`, {
      cause: results.find(result => result.status === 'rejected')?.reason,
    });
  }
  return [first, second];
}

async function lookUpSrv(options: DiscoverOptions, name: string): Promise<{ records: readonly SrvRecord[]; dns: Dns }> {
  try {
    return { records: await options.dns.srv(name), dns: options.dns };
  } catch (original) {
    try {
      return { records: await options.fallback.srv(name), dns: options.fallback };
    } catch (fallbackError) {
      options.logger.debug({ error: String(fallbackError) }, 'DNS over TLS failed too');
      throw new PosternError(
        'discovery.failed',
        `Could not look up SRV records on ${name}. Check that this machine can resolve names, that its resolver answers SRV ` +
          'queries, and that TCP port 853 to 1.1.1.1 is open; or name the edge with --edge host:port',
        { cause: original },
      );
    }
  }
}

async function resolveTarget(dns: Dns, options: DiscoverOptions, record: SrvRecord): Promise<EdgeAddress[]> {
  const addresses = await dns.addresses(record.name).catch((error: unknown) => {
    if (dns === options.fallback) throw error;
    return options.fallback.addresses(record.name);
  });
  return addresses.map(ip => createEdgeAddress(ip, record.port));
}

// Token buckets by client address, in bounded memory: an address holds `burst` calls and regains them evenly. When the
// table is full the address heard of longest ago is forgotten, which only ever forgives.

import { parseIp, unmapIpv4 } from '../address/ip.ts';
import { formatPrefix, maskAddress } from '../address/prefix.ts';

export interface RateLimiter {
  /** Takes one call from the address's bucket; false when it is empty. */
  take(address: string): boolean;
  /** Whether `take` would say no; takes nothing. */
  isEmpty(address: string): boolean;
}

export interface RateLimits {
  readonly burst: number;
  readonly perSecond: number;
  /** Most addresses remembered. Default 10,000: about 1 MiB. */
  readonly maxAddresses?: number;
  readonly now?: () => number;
}

export function createRateLimiter(limits: RateLimits): RateLimiter {
  const { burst, perSecond, maxAddresses = 10_000, now = Date.now } = limits;
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  const tokensOf = (address: string, at: number): number => {
    const bucket = buckets.get(address);
    if (bucket === undefined) return burst;
    return Math.min(burst, bucket.tokens + (Math.max(0, at - bucket.atMs) / 1000) * perSecond);
  };
  return {
    isEmpty: address => buckets.has(address) && tokensOf(address, now()) < 1,
    take(address) {
      const at = now();
      const tokens = tokensOf(address, at);
      const allowed = tokens >= 1;
      // Deleting first keeps the map in order of last use.
      buckets.delete(address);
      buckets.set(address, { tokens: allowed ? tokens - 1 : tokens, atMs: at });
      if (buckets.size > maxAddresses) {
        const [oldest] = buckets.keys();
        if (oldest !== undefined) buckets.delete(oldest);
      }
      return allowed;
    },
  };
}

/** How addresses are counted: IPv4 one by one (mapped ones too), IPv6 by /64, since one host owns a whole one. */
export function countedAddress(remoteAddress: string | undefined): string {
  const bytes = parseIp((remoteAddress ?? '').replace(/%.*$/, ''));
  if (bytes === undefined) return 'unknown';
  const plain = unmapIpv4(bytes);
  return plain.byteLength === 4 ? plain.join('.') : formatPrefix({ bytes: maskAddress(plain, 64), bits: 64 });
}

/**
 * The network of an address as `countedAddress` writes it: IPv4 by /24, IPv6 by /48, as one customer usually gets; all of
 * loopback is one.
 */
export function countedNetwork(counted: string): string {
  const bytes = parseIp(counted.replace(/\/.*$/, ''));
  if (bytes === undefined) return counted;
  const bits = bytes.byteLength === 16 ? 48 : bytes[0] === 127 ? 8 : 24;
  return formatPrefix({ bytes: maskAddress(bytes, bits), bits });
}

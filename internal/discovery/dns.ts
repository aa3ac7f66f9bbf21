// The DNS look-ups that discovery makes, behind one small interface: the machine's resolver, or given servers.
// The DNS-over-TLS variant is in dns-over-tls.ts. Source: docs/protocol/edge-protocol.md §2.1, §3.2, §3.3.

import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { foreignCode, PosternError } from '../errors/error.ts';
import { hostAddresses } from '../net/address/lookup-host.ts';
import { withDeadline } from '../net/time/deadline.ts';

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Every method rejects with 'discovery.failed', also for an empty answer. */
export interface Dns {
  srv(name: string): Promise<readonly SrvRecord[]>;
  /** The strings of each TXT record, joined. */
  txt(name: string): Promise<readonly string[]>;
  /** IP addresses in the resolver's order of preference; an IP is returned as it is. */
  addresses(host: string): Promise<readonly string[]>;
}

export interface DnsOptions {
  /** `ip` or `ip:port`; undefined = the machine's resolver (and its hosts file for addresses). */
  readonly servers?: readonly string[] | undefined;
  /** Limit of one look-up with all its tries. */
  readonly timeoutMs?: number | undefined;
}

/** Two tries in this time: longer than any healthy resolver needs, short enough that the fallback still helps. */
const defaultTimeoutMs = 8_000;

/** Look-ups reject with 'discovery.failed', also when there are no records. */
export function createDns(options: DnsOptions = {}): Dns {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / 2), tries: 2 });
  const { servers } = options;
  if (servers !== undefined) resolver.setServers([...servers]);

  return {
    srv: name => ask('SRV', name, timeoutMs, () => resolver.resolveSrv(name)),
    txt: name =>
      ask('TXT', name, timeoutMs, async () => (await resolver.resolveTxt(name)).map(parts => parts.join(''))),
    addresses: host => {
      if (isIP(host) !== 0) return Promise.resolve([host]);
      return ask('address', host, timeoutMs, async () =>
        servers === undefined ? await hostAddresses(host) : bothFamilies(resolver, host),
      );
    },
  };
}

async function bothFamilies(resolver: Resolver, host: string): Promise<string[]> {
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  if (v4.status === 'rejected' && v6.status === 'rejected') throw v4.reason;
  return [...(v4.status === 'fulfilled' ? v4.value : []), ...(v6.status === 'fulfilled' ? v6.value : [])];
}

async function ask<T>(
  kind: string,
  name: string,
  timeoutMs: number,
  look: () => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const late = (): PosternError =>
    new PosternError('discovery.failed', `No answer to the ${kind} look-up of ${name} within ${timeoutMs} ms`);
  try {
    const found = await withDeadline(look(), timeoutMs, late);
    if (found.length === 0)
      throw new PosternError('discovery.failed', `The ${kind} look-up of ${name} gave no records`);
    return found;
  } catch (error) {
    if (error instanceof PosternError) throw error;
    throw new PosternError(
      'discovery.failed',
      `The ${kind} look-up of ${name} failed (${foreignCode(error) ?? 'unknown'})`,
      {
        cause: error,
      },
    );
  }
}

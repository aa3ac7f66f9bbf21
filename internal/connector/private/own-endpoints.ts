// Keeps a pushed configuration away from the connector's own listeners (metrics, health).
//
// Decision: an edge may publish any service that this machine reaches, also on loopback: that is what the tunnel is for,
// and whoever may configure the tunnel is trusted with it. What it may not do is turn the program's own endpoint into an
// origin, which its user opened for local eyes only: such a configuration is refused whole. The endpoint itself also
// refuses requests that carry a tunnel's headers, since a name may resolve differently later. A local configuration is the
// user's own word and is not checked; destinations that visitors name are, see destination-policy.ts.

import { formatIp, type IpBytes, isLoopback, isUnspecified, parseIp, sameIp, unmapIpv4 } from '../../net/address/ip.ts';
import { hostAddresses } from '../../net/address/lookup-host.ts';
import type { IngressConfig, IngressRule } from '../../schema/ingress-rule.ts';

export interface OwnEndpoint {
  /** IP address it is bound to. */
  readonly address: string;
  readonly port: number;
}

/** IP addresses of a host; an empty list when it has none. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/** Resolves like the origin dialler does. Unknown names have no addresses: they cannot be dialled either. */
export const resolveHost: ResolveHost = async host => {
  try {
    return await hostAddresses(host);
  } catch {
    // Names that do not resolve now are no business of this check.
    return [];
  }
};

/** The first rule of `config` whose origin is one of `endpoints`. `machine`: the machine's own addresses. */
export async function findOwnEndpoint(
  config: IngressConfig,
  endpoints: readonly OwnEndpoint[],
  machine: readonly string[],
  resolve: ResolveHost,
): Promise<IngressRule | undefined> {
  for (const rule of config.rules) {
    const { service } = rule;
    if (service.kind !== 'http' && service.kind !== 'tcp') continue;
    const suspects = endpoints.filter(endpoint => endpoint.port === service.port);
    if (suspects.length === 0) continue;
    const literal = parseIp(service.hostname);
    const targets = literal === undefined ? await resolve(service.hostname) : [service.hostname];
    if (targets.some(target => suspects.some(suspect => reaches(parseIp(target), suspect.address, machine))))
      return rule;
  }
  return undefined;
}

/** Whether dialling `address` arrives at one of `endpoints`. `machine` is asked only where the port is one of theirs. */
export function isOwnEndpoint(
  address: IpBytes,
  port: number,
  endpoints: readonly OwnEndpoint[],
  machine: () => readonly string[],
): boolean {
  return endpoints.some(own => own.port === port && reaches(address, own.address, machine()));
}

/** Whether dialling `to` arrives at a listener bound to `bound`. */
function reaches(to: IpBytes | undefined, bound: string, machine: readonly string[]): boolean {
  const at = parseIp(bound);
  if (to === undefined || at === undefined) return false;
  const [toPlain, atPlain] = [unmapIpv4(to), unmapIpv4(at)];
  if (sameIp(toPlain, atPlain)) return true;
  const toSelf = isLoopback(toPlain) || isUnspecified(toPlain);
  if (isUnspecified(atPlain)) return toSelf || machine.includes(formatIp(toPlain));
  return isLoopback(atPlain) && toSelf;
}
